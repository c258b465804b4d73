#include "appliance/cli/round_line.h"

#include <time.h>

#include "appliance/cli/cell.h"

/* Milliseconds since the round was opened, up to its end; by this machine's clock while it runs. */
static int64_t since_open_ms(const json_t *round)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t opened = json_integer_value(json_object_get(round, "opened_unix_ms"));
    const int64_t ended = json_integer_value(json_object_get(round, "ended_unix_ms"));
    const int64_t until = ended > 0 ? ended : (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    return opened > 0 && until > opened ? until - opened : 0;
}

json_t *mr_round_line_told(const json_t *round)
{
    static const char *const members[] = {"state",     "quorum",   "admitted",
                                          "committed", "included", "reason"};
    json_t *told = json_object();
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *value = json_object_get(round, members[i]);
        json_object_set(told, members[i], value ? value : json_null());
    }
    return told;
}

/* Everything but the lists of devices that a record may hold. */
static void print_json(const struct mr_cli *cli, const json_t *round)
{
    json_t *line = json_object(), *value;
    const char *key;
    json_object_foreach((json_t *)round, key, value) {
        if (!json_is_array(value)) {
            json_object_set(line, key, value);
        }
    }
    json_object_set_new(line, "since_open_ms", json_integer(since_open_ms(round)));
    mr_cli_print(cli, line);
    json_decref(line);
}

static void put_count(FILE *out, const json_t *round, const char *name)
{
    const json_t *count = json_object_get(round, name);
    if (json_is_integer(count)) {
        fprintf(out, "  %s %lld", name, (long long)json_integer_value(count));
    }
}

static void print_text(const struct mr_cli *cli, const json_t *round)
{
    const char *state = json_string_value(json_object_get(round, "state"));
    const char *reason = json_string_value(json_object_get(round, "reason"));
    const json_int_t quorum = json_integer_value(json_object_get(round, "quorum"));
    const json_int_t number = json_integer_value(json_object_get(round, "round"));
    fprintf(cli->out, "round %lld  ", (long long)number);
    mr_cell_put(cli, "state", state ? state : "-", 10);
    fprintf(cli->out, "%8.1f s", (double)since_open_ms(round) / 1000);
    put_count(cli->out, round, "admitted");
    put_count(cli->out, round, "committed");
    if (quorum > 0) {
        fprintf(cli->out, " of %lld", (long long)quorum);
    }
    put_count(cli->out, round, "included");
    if (reason) {
        fputs("  reason ", cli->out);
        mr_cell_put_clean(cli->out, reason, "");
    }
    fputc('\n', cli->out);
}

bool mr_round_line_put(const struct mr_cli *cli, const json_t *round)
{
    if (cli->json) {
        print_json(cli, round);
    } else {
        print_text(cli, round);
    }
    return fflush(cli->out) == 0;
}
