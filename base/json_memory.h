/* json_memory.h - what the JSON parser does when memory runs out. */
#ifndef MR_BASE_JSON_MEMORY_H
#define MR_BASE_JSON_MEMORY_H

/* From now on the whole process stops with a message when there is no memory for JSON. jansson 2.14
 * does not look whether its text buffer could grow, and then reads and writes past it: a peer's
 * body would corrupt a hub that is at its memory limit. For programs, first thing in main; a
 * program that embeds libmillrace-edge decides for itself. */
void mr_json_stop_without_memory(void);

#endif
