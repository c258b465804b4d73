#include "base/json_memory.h"

#include <stdlib.h>

#include <jansson.h>

#include "base/last_words.h"

static void *take(size_t bytes)
{
    void *memory = malloc(bytes);
    if (!memory) {
        static const char text[] = "millrace: out of memory for JSON: give the process more\n";
        mr_last_words(text, sizeof text - 1);
        abort();
    }
    return memory;
}

void mr_json_stop_without_memory(void)
{
    json_set_alloc_funcs(take, free);
}
