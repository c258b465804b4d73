/* schema.c - libcyaml's view of the file, built from the table of options. */
#include "appliance/config/schema_internal.h"

#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "appliance/config/fill.h"
#include "base/assert.h"
#include "wire/announcement.h"

#define FIELDS_MAX 64

/* libcyaml's view of the file, built from the table of options; lives on the caller's stack. */
struct schema {
    cyaml_schema_field_t root[FIELDS_MAX];
    cyaml_schema_field_t identity[FIELDS_MAX];
    cyaml_schema_field_t sandbox[FIELDS_MAX];
    cyaml_schema_field_t control[FIELDS_MAX];
    cyaml_schema_field_t upload[FIELDS_MAX];
    cyaml_schema_field_t round[FIELDS_MAX];
    cyaml_schema_field_t accept[FIELDS_MAX];
    cyaml_schema_field_t privacy[FIELDS_MAX];
    cyaml_schema_field_t keep[FIELDS_MAX];
    cyaml_schema_field_t releases[FIELDS_MAX];
    cyaml_schema_field_t watermark[FIELDS_MAX];
    cyaml_schema_field_t tasks[FIELDS_MAX];
    cyaml_schema_field_t hubs[FIELDS_MAX];
    cyaml_schema_value_t number; /* of a LIST */
    cyaml_schema_value_t task;
    cyaml_schema_value_t hub;
    cyaml_schema_value_t top;
};

/* --- schema --------------------------------------------------------------------------------- */

static cyaml_schema_field_t *fields_end(cyaml_schema_field_t *fields)
{
    size_t used = 0;
    while (fields[used].key) {
        used++;
    }
    MR_ASSERT(used + 1 < FIELDS_MAX);
    return fields + used;
}

/* A pointer to numbers; how many there are stands right behind it. */
static void describe_list(cyaml_schema_field_t *field, const struct schema *schema,
                          const struct mr_option *option)
{
    field->count_offset = (uint32_t)(option->offset + sizeof(uint16_t *));
    field->count_size = sizeof(unsigned);
    field->value.type = CYAML_SEQUENCE;
    field->value.flags |= CYAML_FLAG_POINTER;
    field->value.data_size = sizeof(uint16_t);
    field->value.sequence.entry = &schema->number;
    field->value.sequence.max = MR_HUBS_MAX;
}

static void add_option(cyaml_schema_field_t *fields, const struct schema *schema,
                       const struct mr_option *option)
{
    cyaml_schema_field_t *field = fields_end(fields);
    *field = (cyaml_schema_field_t){
        .key = option->name,
        .data_offset = (uint32_t)option->offset,
        .value = {.flags = CYAML_FLAG_OPTIONAL, .data_size = (uint32_t)option->bytes},
    };
    if (mr_option_takes_auto(option)) {
        field->value.type = CYAML_IGNORE; /* fill.c takes it from the document */
        return;
    }
    switch (option->kind) {
    case MR_OPTION_UINT:
        field->value.type = CYAML_UINT;
        break;
    case MR_OPTION_FLOAT:
        field->value.type = CYAML_FLOAT;
        break;
    case MR_OPTION_BOOL:
        field->value.type = CYAML_BOOL;
        break;
    case MR_OPTION_LIST:
        describe_list(field, schema, option);
        break;
    default:
        field->value.type = CYAML_STRING;
        field->value.flags |= CYAML_FLAG_POINTER;
        field->value.data_size = sizeof(char);
        field->value.string.max = UINT32_MAX;
    }
}

static void add_section(cyaml_schema_field_t *above, const char *name, size_t offset, size_t bytes,
                        const cyaml_schema_field_t *fields)
{
    *fields_end(above) = (cyaml_schema_field_t){
        .key = name,
        .data_offset = (uint32_t)offset,
        .value = {.type = CYAML_MAPPING,
                  .flags = CYAML_FLAG_OPTIONAL,
                  .data_size = (uint32_t)bytes,
                  .mapping = {.fields = fields}},
    };
}

/* A list of entries at the top of the file: the pointer at `offset`, its count at `count_offset`.
 */
static void add_list(struct schema *schema, const char *name, size_t offset, size_t count_offset,
                     const cyaml_schema_value_t *entry)
{
    *fields_end(schema->root) = (cyaml_schema_field_t){
        .key = name,
        .data_offset = (uint32_t)offset,
        .count_offset = (uint32_t)count_offset,
        .count_size = sizeof(unsigned),
        .value = {.type = CYAML_SEQUENCE,
                  .flags = CYAML_FLAG_POINTER,
                  .data_size = entry->data_size,
                  .sequence = {.entry = entry, .min = 1, .max = UINT16_MAX}},
    };
}

static void add_options(struct schema *schema)
{
    const struct {
        const char *name;
        cyaml_schema_field_t *fields;
    } sections[] = {{"", schema->root},
                    {"identity", schema->identity},
                    {"sandbox", schema->sandbox},
                    {"control", schema->control},
                    {"upload", schema->upload},
                    {"tasks", schema->tasks},
                    {"tasks.round", schema->round},
                    {"tasks.accept", schema->accept},
                    {"tasks.privacy", schema->privacy},
                    {"tasks.keep", schema->keep},
                    {"tasks.releases", schema->releases},
                    {"tasks.watermark", schema->watermark},
                    {"hubs", schema->hubs}};
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    for (size_t i = 0; i < count; i++) {
        for (size_t s = 0; s < sizeof sections / sizeof *sections; s++) {
            if (strcmp(rows[i].section, sections[s].name) == 0) {
                add_option(sections[s].fields, schema, &rows[i]);
            }
        }
    }
}

static void schema_init(struct schema *schema)
{
    typedef struct mr_hub_config config;
    memset(schema, 0, sizeof *schema);
    schema->number =
        (cyaml_schema_value_t){.type = CYAML_UINT, .data_size = (uint32_t)sizeof(uint16_t)};
    schema->task = (cyaml_schema_value_t){.type = CYAML_MAPPING,
                                          .data_size = sizeof(struct mr_config_task),
                                          .mapping = {.fields = schema->tasks}};
    schema->hub = (cyaml_schema_value_t){.type = CYAML_MAPPING,
                                         .data_size = sizeof(struct mr_config_hub),
                                         .mapping = {.fields = schema->hubs}};
    add_options(schema);
    add_section(schema->root, "identity", offsetof(config, identity),
                sizeof(struct mr_config_identity), schema->identity);
    add_section(schema->root, "sandbox", offsetof(config, sandbox),
                sizeof(struct mr_config_sandbox), schema->sandbox);
    add_section(schema->root, "control", offsetof(config, control),
                sizeof(struct mr_config_control), schema->control);
    add_section(schema->root, "upload", offsetof(config, upload), sizeof(struct mr_config_upload),
                schema->upload);
    add_section(schema->tasks, "round", offsetof(struct mr_config_task, round),
                sizeof(struct mr_config_round), schema->round);
    add_section(schema->tasks, "accept", offsetof(struct mr_config_task, accept),
                sizeof(struct mr_config_accept), schema->accept);
    add_section(schema->tasks, "privacy", offsetof(struct mr_config_task, privacy),
                sizeof(struct mr_config_privacy), schema->privacy);
    add_section(schema->tasks, "keep", offsetof(struct mr_config_task, keep),
                sizeof(struct mr_config_keep), schema->keep);
    add_section(schema->tasks, "releases", offsetof(struct mr_config_task, releases),
                sizeof(struct mr_config_releases), schema->releases);
    add_section(schema->tasks, "watermark", offsetof(struct mr_config_task, watermark),
                sizeof(struct mr_config_watermark), schema->watermark);
    add_list(schema, "tasks", offsetof(config, tasks), offsetof(config, tasks_count),
             &schema->task);
    add_list(schema, "hubs", offsetof(config, hubs), offsetof(config, hubs_count), &schema->hub);
    schema->top = (cyaml_schema_value_t){
        .type = CYAML_MAPPING,
        .flags = CYAML_FLAG_POINTER,
        .data_size = sizeof(config),
        .mapping = {.fields = schema->root},
    };
}

/* --- loading -------------------------------------------------------------------------------- */

/* Keeps what libcyaml says first (the cause; a backtrace follows). */
static void keep_first(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    struct mr_error *error = context;
    if (level == CYAML_LOG_ERROR && error->text[0] == '\0') {
        vsnprintf(error->text, sizeof error->text, format, arguments);
        error->text[strcspn(error->text, "\n")] = '\0';
    }
}

static const cyaml_config_t silent = {
    .log_fn = NULL,
    .mem_fn = cyaml_mem,
    .flags = CYAML_CFG_NO_ALIAS,
};

int mr_config_parse(struct mr_hub_config **config, const struct mr_document *document,
                    struct mr_error *error)
{
    struct schema schema;
    struct mr_error said = {""};
    cyaml_config_t listening = silent;
    listening.log_fn = keep_first;
    listening.log_ctx = &said;
    listening.log_level = CYAML_LOG_ERROR;
    schema_init(&schema);
    const cyaml_err_t result =
        cyaml_load_data((const uint8_t *)document->text, document->length, &listening, &schema.top,
                        (cyaml_data_t **)config, NULL);
    if (result == CYAML_OK) {
        return 0;
    }
    if (result == CYAML_ERR_ALIAS) {
        return mr_error_set(error,
                            "%s: anchors (&) and aliases (*) are not allowed: write the "
                            "value out, or put it into quotes",
                            document->path);
    }
    return mr_error_set(error, "%s: %s", document->path,
                        said.text[0] != '\0' ? said.text : cyaml_strerror(result));
}

void mr_config_release(struct mr_hub_config *config)
{
    struct schema schema;
    schema_init(&schema);
    cyaml_free(&silent, &schema.top, config, 0);
}
