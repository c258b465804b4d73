/* dp_answers.c - answers questions of test_accounting.py with the project's own code, a line each:
 *
 *   epsilon KIND DELTA RHO          epsilon in force, of a rho in units of 2^-40; KIND 1 hub, 2
 * device rho SENSITIVITY2 SIGMA2         rho of a release, in units rdp DELTA SLOPE epsilon of an
 * RDP curve SLOPE * order, and the best order samples NUM DEN KEYHEX COUNT    block_log2 peak
 * weights… ; samples… */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/epsilon.h"
#include "wire/gauss.h"
#include "wire/rho.h"

static void answer_rdp(double delta, double slope)
{
    double rdp[MR_EPSILON_ORDERS];
    unsigned order = 0;
    for (unsigned i = 0; i < MR_EPSILON_ORDERS; i++) {
        rdp[i] = slope * mr_epsilon_order(i);
    }
    const double epsilon = mr_epsilon_rdp(rdp, delta, &order);
    printf("%.17g %u\n", epsilon, order);
}

static void answer_samples(uint64_t num, uint64_t den, const char *hex, size_t count)
{
    struct mr_gauss_table table;
    struct mr_gauss gauss;
    uint8_t key[MR_GAUSS_KEY_BYTES];
    int32_t *samples = malloc(count * sizeof *samples);
    MR_ASSERT(samples && mr_hex_decode(key, sizeof key, hex) == 0 &&
              mr_gauss_table_init(&table, num, den) == 0);
    mr_gauss_init(&gauss, &table, key, mr_kernels_select(~0u));
    MR_ASSERT(mr_gauss_fill(&gauss, samples, count) == 0);
    printf("%u %" PRIu64, table.block_log2, table.peak);
    for (unsigned i = 0; i < table.cells; i++) {
        printf(" %" PRIu32, table.weight[i]);
    }
    printf(" ;");
    for (unsigned i = 0; i < MR_GAUSS_CELLS; i++) {
        printf(" %" PRIu32 " %" PRIu32, MR_GAUSS_COLUMN_SHARE(table.columns[i]),
               MR_GAUSS_COLUMN_OTHER(table.columns[i]));
    }
    printf(" ;");
    for (size_t i = 0; i < count; i++) {
        printf(" %" PRId32, samples[i]);
    }
    printf("\n");
    free(samples);
}

int main(void)
{
    char line[512], hex[80];
    double a, b;
    uint64_t m, n, count;
    unsigned kind;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "epsilon %u %lf %" SCNu64, &kind, &a, &n) == 3) {
            printf("%.17g\n", mr_epsilon_of(n, a, (enum mr_noise_kind)kind));
        } else if (sscanf(line, "rho %" SCNu64 " %" SCNu64, &m, &n) == 2) {
            printf("%" PRIu64 "\n", mr_rho_of_release(m, n));
        } else if (sscanf(line, "rdp %lf %lf", &a, &b) == 2) {
            answer_rdp(a, b);
        } else if (sscanf(line, "samples %" SCNu64 " %" SCNu64 " %79s %" SCNu64, &m, &n, hex,
                          &count) == 4) {
            answer_samples(m, n, hex, count);
        } else {
            fprintf(stderr, "no question: %s", line);
            return 1;
        }
    }
    return 0;
}
