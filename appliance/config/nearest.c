/* nearest.c - restricted Damerau-Levenshtein distance (optimal string alignment). */
#include "appliance/config/nearest.h"

#include <string.h>

#define WORD_MAX 63

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t d[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t i = 0; i <= a_length; i++) {
        for (size_t j = 0; j <= b_length; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            const size_t change = a[i - 1] != b[j - 1];
            d[i][j] = least(d[i - 1][j - 1] + change, least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
            }
        }
    }
    return d[a_length][b_length];
}

const char *mr_nearest_word(const char *typed, const char *const *words, size_t count)
{
    const size_t length = strlen(typed);
    const char *best = NULL;
    size_t best_distance = 3;
    for (size_t i = 0; i < count && length <= WORD_MAX; i++) {
        const size_t word_length = strlen(words[i]);
        if (word_length > WORD_MAX) {
            continue;
        }
        const size_t d = distance(typed, length, words[i], word_length);
        if (d < best_distance && 2 * d < word_length) {
            best = words[i];
            best_distance = d;
        }
    }
    return best;
}
