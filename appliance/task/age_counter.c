#include "appliance/task/age_counter.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct mr_age_counter {
    pthread_mutex_t lock; /* tasks' threads make promises at the same time */
    struct mr_tpm_counter *tpm;
    uint64_t every_s, counted_s; /* counted_s: when, monotonic */
    bool begun;
    char folder[PATH_MAX];
    struct mr_age_place place;
};

static uint64_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

struct mr_age_counter *mr_age_counter_new(struct mr_tpm_counter *tpm, uint64_t every_s)
{
    struct mr_age_counter *counter = calloc(1, sizeof *counter);
    if (counter) {
        counter->tpm = tpm;
        counter->every_s = every_s;
        pthread_mutex_init(&counter->lock, NULL);
    }
    return counter;
}

void mr_age_counter_free(struct mr_age_counter *counter)
{
    if (counter) {
        mr_tpm_counter_close(counter->tpm);
        pthread_mutex_destroy(&counter->lock);
    }
    free(counter);
}

int mr_age_counter_read(struct mr_age_counter *counter, struct mr_age_place *place,
                        struct mr_error *error)
{
    place->counted = true;
    place->count_is_new = mr_tpm_counter_is_new(counter->tpm);
    return mr_tpm_counter_read(counter->tpm, &place->count, error);
}

/* The lock is held. */
static int count(struct mr_age_counter *counter, struct mr_error *error)
{
    struct mr_age_place *place = &counter->place;
    place->count++;
    if (mr_age_bind(counter->folder, place, error) != 0 ||
        mr_tpm_counter_count(counter->tpm, error) != 0) {
        return -1;
    }
    counter->counted_s = now_s();
    return 0;
}

int mr_age_counter_begin(struct mr_age_counter *counter, const char *folder,
                         const struct mr_age_place *place, struct mr_error *error)
{
    pthread_mutex_lock(&counter->lock); /* the tasks' threads are there already */
    counter->place = *place;
    snprintf(counter->folder, sizeof counter->folder, "%s", folder);
    counter->begun =
        mr_age_counter_read(counter, &counter->place, error) == 0 && count(counter, error) == 0;
    const int result = counter->begun ? 0 : -1;
    pthread_mutex_unlock(&counter->lock);
    return result;
}

int mr_age_counter_promise(struct mr_age_counter *counter, struct mr_error *error)
{
    pthread_mutex_lock(&counter->lock);
    const bool due = counter->begun && now_s() - counter->counted_s >= counter->every_s;
    const int result = due ? count(counter, error) : 0;
    pthread_mutex_unlock(&counter->lock);
    return result;
}

int mr_age_counter_end(struct mr_age_counter *counter, struct mr_error *error)
{
    pthread_mutex_lock(&counter->lock);
    const int result = counter->begun ? count(counter, error) : 0;
    counter->begun = false;
    pthread_mutex_unlock(&counter->lock);
    return result;
}
