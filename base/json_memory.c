#include "base/json_memory.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

static void *take(size_t bytes)
{
    void *memory = malloc(bytes);
    if (!memory) {
        fprintf(stderr, "millrace: out of memory for JSON: give the process more\n");
        abort();
    }
    return memory;
}

void mr_json_stop_without_memory(void)
{
    json_set_alloc_funcs(take, free);
}
