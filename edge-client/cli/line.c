#include "edge-client/cli/line.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json_text.h"

void mr_edge_print_json(json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    if (!text) { /* the values cannot be why: base/json_text.h */
        fprintf(stderr, "millrace-edge: out of memory for a line of output\n");
        abort();
    }
    printf("%s\n", text);
    free(text);
    json_decref(object);
}

static const char *transport_name(enum mre_transport transport)
{
    return transport == MRE_TRANSPORT_HTTP2 ? "http2" : "udp";
}

static void print_json(const char *task, const struct mre_outcome *o)
{
    json_t *line = json_pack(
        "{s:o, s:I, s:o, s:o, s:o, s:i, s:o, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:o, s:o, s:o, s:o}",
        "task", mr_json_text(task), "round", (json_int_t)o->round, "result",
        mr_json_text(mre_result_name(o->result)), "code", mr_json_text(o->code), "text",
        mr_json_text(o->text), "attempt", (int)o->attempt, "transport",
        mr_json_text(transport_name(o->transport)), "examples", (json_int_t)o->examples, "loss",
        mr_json_real(o->loss), "clipped", (json_int_t)o->clipped, "share_bytes",
        (json_int_t)o->share_bytes, "datagrams", (json_int_t)o->datagrams, "retransmitted",
        (json_int_t)o->retransmitted, "train_ms", (json_int_t)o->train_ms, "upload_ms",
        (json_int_t)o->upload_ms, "clock_ahead_ms", (json_int_t)o->clock_ahead_ms, "saturated",
        mr_json_real(o->saturated), "resolution", mr_json_real(o->resolution), "rounding_error",
        mr_json_real(o->rounding_error), "warning", mr_json_text(o->warning));
    mr_edge_print_json(line);
}

static void warn_of(const char *task, const struct mre_outcome *o)
{
    if (o->warning[0]) {
        fprintf(stderr, "millrace-edge: %s: round %llu: WARNING: %s\n", task,
                (unsigned long long)o->round, o->warning);
    }
}

void mr_edge_print_round(bool json, const char *task, const struct mre_outcome *o)
{
    if (json) {
        print_json(task, o);
    } else if (o->result == MRE_COMMITTED) {
        printf("%s round %llu: committed (attempt %u, %s): %u examples, loss %.4f, %llu bytes, "
               "%llu datagrams, %u again, trained %u ms, uploaded %u ms, resolution %.3g, "
               "saturated %.2g %%, rounding error %.3g %%\n",
               task, (unsigned long long)o->round, o->attempt, transport_name(o->transport),
               o->examples, (double)o->loss, (unsigned long long)o->share_bytes,
               (unsigned long long)o->datagrams, o->retransmitted, o->train_ms, o->upload_ms,
               o->resolution, 100 * o->saturated, 100 * o->rounding_error);
    } else {
        printf("%s round %llu: %s: %s\n", task, (unsigned long long)o->round,
               mre_result_name(o->result), o->text);
    }
    if (o->result != MRE_BAD_DELTA) { /* else it is the text */
        warn_of(task, o);
    }
}

void mr_edge_print_end(bool json, const char *task, const struct mre_outcome *o)
{
    if (!json) {
        printf("%s round %llu: %s: %s\n", task, (unsigned long long)o->round,
               mre_result_name(o->result), o->text);
        warn_of(task, o);
        return;
    }
    json_t *line =
        json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "task", mr_json_text(task), "round",
                  (json_int_t)o->round, "result", mr_json_text(mre_result_name(o->result)), "code",
                  mr_json_text(o->code), "text", mr_json_text(o->text), "model",
                  mr_json_text(o->model), "warning", mr_json_text(o->warning));
    mr_edge_print_json(line);
    warn_of(task, o);
}
