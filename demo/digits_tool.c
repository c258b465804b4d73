/* digits_tool.c - command line of digits-tool. */
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo/digits.h"

enum kind { TEXT, NUMBER, FLAG };

#define AT(member) offsetof(struct digits_options, member)
static const struct {
    const char *name;
    enum kind kind;
    size_t at;
} table[] = {
    {"input", TEXT, AT(input)},
    {"out", TEXT, AT(out)},
    {"model", TEXT, AT(model)},
    {"data", TEXT, AT(data)},
    {"layers", TEXT, AT(layers)},
    {"shards", TEXT, AT(shards)},
    {"included", TEXT, AT(included)},
    {"pki", TEXT, AT(pki)},
    {"training", TEXT, AT(training)},
    {"devices", NUMBER, AT(devices)},
    {"alpha", NUMBER, AT(alpha)},
    {"seed", NUMBER, AT(seed)},
    {"held-out", NUMBER, AT(held_out)},
    {"rounds", NUMBER, AT(rounds)},
    {"clip-norm", NUMBER, AT(clip_norm)},
    {"weight-max", NUMBER, AT(weight_max)},
    {"server-learning-rate", NUMBER, AT(server_learning_rate)},
    {"scale", NUMBER, AT(scale)},
    {"rotation-log2", NUMBER, AT(rotation_log2)},
    {"json", FLAG, AT(json)},
};
#define OPTIONS (sizeof table / sizeof *table)

static const struct {
    const char *name;
    const char *usage;
    int (*run)(const struct digits_options *options, struct mr_error *error);
} commands[] = {
    {"split", "--input digits.csv.gz --devices N --alpha A --seed S --held-out F --out DIR",
     digits_split},
    {"init", "--layers 64,64,10 --seed S --out FILE", digits_init},
    {"eval", "--model FILE --data CSV [--json]", digits_eval},
    {"plain",
     "--model FILE --shards DIR --rounds N --data CSV [--included PATH-with-{round}] [--pki DIR]\n"
     "        [--training JSON] [--clip-norm C] [--weight-max W] [--server-learning-rate R]\n"
     "        [--scale S --rotation-log2 R] [--out FILE] [--json]",
     digits_plain},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static int usage(void)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(stderr, "%s digits-tool %s %s\n", i ? "      " : "usage:", commands[i].name,
                commands[i].usage);
    }
    return 2;
}

static int parse(struct digits_options *options, int argc, char **argv)
{
    struct option longs[OPTIONS + 1];
    memset(longs, 0, sizeof longs);
    for (size_t i = 0; i < OPTIONS; i++) {
        longs[i].name = table[i].name;
        longs[i].has_arg = table[i].kind == FLAG ? no_argument : required_argument;
        longs[i].val = (int)i + 256;
    }
    for (int option; (option = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (option == '?') {
            return -1;
        }
        size_t i = (size_t)option - 256;
        char *member = (char *)options + table[i].at;
        char *end = NULL;
        if (table[i].kind == TEXT) {
            *(const char **)(void *)member = optarg;
        } else {
            *(double *)(void *)member = optarg ? strtod(optarg, &end) : 1;
        }
        if (end && (end == optarg || *end)) {
            fprintf(stderr, "digits-tool: --%s %s: a number is needed\n", table[i].name, optarg);
            return -1;
        }
    }
    return optind < argc ? -1 : 0;
}

int main(int argc, char **argv)
{
    struct digits_options options = {.training = "",
                                     .devices = 30,
                                     .alpha = 0.5,
                                     .held_out = 0.2,
                                     .rounds = 20,
                                     .clip_norm = 4,
                                     .weight_max = 100,
                                     .server_learning_rate = 1};
    struct mr_error error = {.text = ""};
    for (size_t i = 0; argc > 1 && i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            if (parse(&options, argc - 1, argv + 1)) {
                return usage();
            }
            if (commands[i].run(&options, &error) == 0) {
                return 0;
            }
            fprintf(stderr, "digits-tool %s: %s\n", argv[1], error.text);
            return 1;
        }
    }
    return usage();
}
