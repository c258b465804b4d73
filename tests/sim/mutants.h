/* mutants.h - defects that the simulator plants on purpose, to show that it finds such. They live
 * in the simulator's own seams and in wrapped calls; the real code is never changed. */
#ifndef MR_TESTS_SIM_MUTANTS_H
#define MR_TESTS_SIM_MUTANTS_H

#include <stdbool.h>

enum sim_mutant {
#define SIM_MUTANT(name, label, sentence) SIM_MUTANT_##name,
#include "tests/sim/mutants.def"
#undef SIM_MUTANT
    SIM_MUTANTS
};

/* Defects that show only where a lead lies. */
static inline bool sim_mutant_lies(enum sim_mutant mutant)
{
    return mutant == SIM_MUTANT_LEDGER_IGNORED || mutant == SIM_MUTANT_DRAW_IGNORED ||
           mutant == SIM_MUTANT_SHAPE_IGNORED || mutant == SIM_MUTANT_DRAWN_AGAIN;
}

const char *sim_mutant_label(enum sim_mutant mutant);
const char *sim_mutant_sentence(enum sim_mutant mutant);

#endif
