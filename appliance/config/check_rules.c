#include "appliance/config/hub_check.h"

#include <jansson.h>
#include <string.h>

#include "kernels/kernels.h"
#include "wire/announcement.h"
#include "wire/layout.h"

/* What every check needs to report. */
struct place {
    struct mr_document *document;
    struct mr_error *error;
};

/* Puts "path:line: section.name " in front of the text; returns -1. */
static int at(const struct place *place, const char *section, unsigned entry, const char *name)
{
    return mr_error_prefix(place->error, "%s:%u: %s%s%s", place->document->path,
                           mr_document_line(place->document, section, entry, name), section,
                           *section != '\0' ? "." : "", name);
}

/* --- the top, control and upload ------------------------------------------------------------ */

static int check_top(const struct mr_hub_config *config, const struct place *place)
{
    uint32_t mask;
    if (mr_cpu_mask_parse(config->cpu_mask, &mask) != 0) {
        mr_error_set(place->error,
                     "must be all, a list such as avx2,avx512, or -avx512 to leave one out, not "
                     "'%s'",
                     config->cpu_mask);
        return at(place, "", 0, "cpu_mask");
    }
    if (config->control.bodies_bytes_max < config->upload.share_bytes_max) {
        mr_error_set(place->error,
                     "must hold at least one upload over HTTP/2 (upload.share_bytes_max, %llu)",
                     (unsigned long long)config->upload.share_bytes_max);
        return at(place, "control", 0, "bodies_bytes_max");
    }
    return 0;
}

/* How many CPU numbers the list holds, or -1 if it is no list of numbers. */
static int count_cpus(const char *list)
{
    int count = 0;
    while (*list != '\0') {
        const size_t digits = strspn(list, "0123456789");
        if (digits == 0 || digits > 4 || (list[digits] != ',' && list[digits] != '\0')) {
            return -1;
        }
        count++;
        list += digits;
        if (*list == ',' && *++list == '\0') {
            return -1;
        }
    }
    return count;
}

static int check_upload(const struct mr_hub_config *config, const struct place *place)
{
    const struct mr_config_upload *upload = &config->upload;
    const int cpus = count_cpus(upload->worker_cpus);
    if (*upload->worker_cpus != '\0' && cpus != (int)upload->workers) {
        mr_error_set(place->error, "must list one CPU for each of the %u workers, not '%s'",
                     upload->workers, upload->worker_cpus);
        return at(place, "upload", 0, "worker_cpus");
    }
    if (upload->port_base != 0 && upload->port_base + upload->workers - 1 > 65535) {
        mr_error_set(place->error, "leaves no ports for %u workers: at most %u", upload->workers,
                     65536 - upload->workers);
        return at(place, "upload", 0, "port_base");
    }
    if (upload->window_total < upload->window_max) {
        mr_error_set(place->error, "must be at least window_max (%u)", upload->window_max);
        return at(place, "upload", 0, "window_total");
    }
    const bool wildcard =
        strcmp(upload->advertise_host, "0.0.0.0") == 0 || strcmp(upload->advertise_host, "::") == 0;
    if (wildcard && strcmp(config->round.role, "helper") != 0) {
        mr_error_set(place->error,
                     "must be the address at which devices reach this hub: %s is none they can "
                     "send to",
                     upload->advertise_host);
        return at(place, "upload", 0, "advertise_host");
    }
    return 0;
}

/* --- the round ------------------------------------------------------------------------------ */

static int check_training(const struct mr_config_round *round, const struct place *place)
{
    if (*round->training == '\0') {
        return 0;
    }
    for (const char *c = round->training; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~') {
            mr_error_set(place->error, "must be printable ASCII: write other letters as \\uXXXX");
            return at(place, "round", 0, "training");
        }
    }
    json_error_t why;
    json_t *json = json_loads(round->training, JSON_REJECT_DUPLICATES, &why);
    const bool object = json_is_object(json);
    json_decref(json);
    if (!object) {
        mr_error_set(place->error, "must be a JSON object such as '{\"epochs\": 5}' (%s)",
                     !json ? why.text : "it is another kind of JSON");
        return at(place, "round", 0, "training");
    }
    return 0;
}

static int check_shape(const struct mr_config_round *round, const struct place *place)
{
    if (round->ring_bits != 16 && round->ring_bits != 24 && round->ring_bits != 32) {
        mr_error_set(place->error, "must be 16, 24 or 32, not %u", round->ring_bits);
        return at(place, "round", 0, "ring_bits");
    }
    if (round->chunk_bytes % 64 != 0) {
        mr_error_set(place->error, "must be a multiple of 64, not %u", round->chunk_bytes);
        return at(place, "round", 0, "chunk_bytes");
    }
    return 0;
}

/* A lead that is there ends a round in four steps after the deadline: its own commit, then freeze,
 * open and reveal, each with as much time as peer_timeout_ms. */
static int check_grace(const struct mr_config_round *round, const struct place *place)
{
    const uint64_t least = UINT64_C(4) * round->peer_timeout_ms;
    if (round->lead_grace_ms < least) {
        mr_error_set(place->error,
                     "must be at least four times peer_timeout_ms (%llu): a lead that is there may "
                     "need so long to end a round",
                     (unsigned long long)least);
        return at(place, "round", 0, "lead_grace_ms");
    }
    return 0;
}

static int check_cohort(struct mr_config_round *round, const struct place *place)
{
    const uint32_t ring = mr_ring_clients_max(round->ring_bits, 0);
    const uint32_t weights = UINT32_MAX / round->weight_max;
    const uint32_t holds = ring < weights ? ring : weights;
    if (round->cohort_max > ring) {
        mr_error_set(place->error,
                     "%u devices do not fit into a ring of %u bits, which holds %u: choose a wider "
                     "round.ring_bits",
                     round->cohort_max, round->ring_bits, ring);
        return at(place, "round", 0, "cohort_max");
    }
    if (round->cohort_max > weights) {
        mr_error_set(place->error,
                     "%u devices of weight %u overflow the sum of weights: at most %u devices, or "
                     "a smaller round.weight_max",
                     round->cohort_max, round->weight_max, weights);
        return at(place, "round", 0, "cohort_max");
    }
    if (round->cohort_max == 0) {
        round->cohort_max = holds;
    }
    if (round->cohort_min > round->cohort_max) {
        mr_error_set(place->error, "%u is above the most devices of a round (%u)",
                     round->cohort_min, round->cohort_max);
        return at(place, "round", 0, "cohort_min");
    }
    if (round->quorum < round->cohort_min || round->quorum > round->cohort_max) {
        mr_error_set(place->error,
                     "must be from cohort_min (%u) to the most devices of a round (%u), not %u",
                     round->cohort_min, round->cohort_max, round->quorum);
        return at(place, "round", 0, "quorum");
    }
    return 0;
}

/* --- the hubs ------------------------------------------------------------------------------- */

static int check_hub(const struct mr_hub_config *config, unsigned entry, const struct place *place)
{
    const struct mr_config_hub *hub = &config->hubs[entry];
    if (hub->name[strspn(hub->name, "abcdefghijklmnopqrstuvwxyz0123456789.-")] != '\0') {
        mr_error_set(place->error, "must be of a-z, 0-9, dots and hyphens, not '%s'", hub->name);
        return at(place, "hubs", entry, "name");
    }
    for (unsigned i = 0; i < entry; i++) {
        if (config->hubs[i].index == hub->index) {
            mr_error_set(place->error, "%u is taken by the entry in line %u", hub->index,
                         mr_document_line(place->document, "hubs", i, "index"));
            return at(place, "hubs", entry, "index");
        }
    }
    if (entry >= 2 && config->hubs[entry - 1].index > hub->index) {
        mr_error_set(place->error, "must rise: after the lead, helpers stand in the order of their "
                                   "index");
        return at(place, "hubs", entry, "index");
    }
    return 0;
}

static int check_own_place(const struct mr_hub_config *config, const struct place *place)
{
    unsigned own = 0;
    while (own < config->hubs_count && config->hubs[own].index != config->identity.index) {
        own++;
    }
    if (own == config->hubs_count) {
        mr_error_set(place->error, "%u is not in the list of hubs: add this hub to 'hubs'",
                     config->identity.index);
        return at(place, "identity", 0, "index");
    }
    const char *role = config->round.role;
    if (own != 0 && strcmp(role, "lead") == 0) {
        mr_error_set(place->error,
                     "is lead, but the lead is the first entry of 'hubs' and this hub "
                     "is another");
        return at(place, "round", 0, "role");
    }
    if (own == 0 && strcmp(role, "helper") == 0) {
        mr_error_set(place->error, "is helper, but this hub is the first entry of 'hubs', which is "
                                   "the lead");
        return at(place, "round", 0, "role");
    }
    return 0;
}

int mr_config_check_rules(struct mr_hub_config *config, struct mr_document *document,
                          struct mr_error *error)
{
    const struct place place = {document, error};
    if (check_top(config, &place) != 0 || check_upload(config, &place) != 0 ||
        check_shape(&config->round, &place) != 0 || check_grace(&config->round, &place) != 0 ||
        check_cohort(&config->round, &place) != 0 || check_training(&config->round, &place) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < config->hubs_count; i++) {
        if (check_hub(config, i, &place) != 0) {
            return -1;
        }
    }
    return check_own_place(config, &place);
}
