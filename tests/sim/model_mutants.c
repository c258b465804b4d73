/* model_mutants.c - planted defects of the way from a sum to the next model, in wrapped calls. */
#include <string.h>

#include "tests/sim/plan.h"
#include "tests/sim/seams.h"

static bool has(enum sim_mutant mutant)
{
    const struct sim *sim = sim_active();
    return sim && sim->options.mutant == mutant;
}

void __wrap_mr_requantised_begin(uint8_t *state, const struct mr_requantiser *requantiser,
                                 const uint8_t *before, size_t before_bytes)
{
    const bool forgets =
        has(SIM_MUTANT_REST_FORGOTTEN) ||
        (has(SIM_MUTANT_REST_DIFFERS) && sim_leads_any(sim_active(), sim_active()->current));
    __real_mr_requantised_begin(state, requantiser, forgets ? NULL : before, before_bytes);
}

void __wrap_mr_requantise(uint8_t *state, float *step, const struct mr_requantiser *requantiser)
{
    for (size_t i = 0; has(SIM_MUTANT_REST_TWICE) && i < requantiser->count; i++) {
        float rest;
        memcpy(&rest, state + 64 + i * sizeof rest, sizeof rest);
        step[i] += rest;
    }
    __real_mr_requantise(state, step, requantiser);
}

int __wrap_mr_watermark_keep_announced(struct mr_watermark_kept *kept,
                                       const struct mr_safetensors *model, uint8_t *data,
                                       const struct mr_announcement *round,
                                       const struct mr_watermark_parts *parts,
                                       struct mr_error *error)
{
    if (has(SIM_MUTANT_MARK_LEFT_OUT)) {
        *kept = (struct mr_watermark_kept){.sigma = 0};
        return 0;
    }
    return __real_mr_watermark_keep_announced(kept, model, data, round, parts, error);
}

bool __wrap_mr_watermark_part_fits(const struct mr_watermark_terms *terms, unsigned position,
                                   const uint8_t *part)
{
    return has(SIM_MUTANT_PART_BELIEVED) ? !!part
                                         : __real_mr_watermark_part_fits(terms, position, part);
}
