#include "appliance/config/config_text.h"

#include <ctype.h>
#include <string.h>

#include "appliance/config/fill.h"
#include "appliance/config/option_value.h"
#include "appliance/config/options.h"

#define COLUMNS 100

/* What is written: a configuration, or (NULL) the sample with its comments. */
struct writer {
    FILE *out;
    const struct mr_hub_config *config;
};

/* --- comments ------------------------------------------------------------------------------- */

static void put_indent(const struct writer *writer, unsigned indent)
{
    fprintf(writer->out, "%*s", (int)indent, "");
}

/* `text` as a sentence behind '#', in lines of at most COLUMNS. */
static void put_comment(const struct writer *writer, unsigned indent, const char *text)
{
    size_t column = 0;
    bool first = true;
    while (*text != '\0') {
        const size_t word = strcspn(text, " ");
        if (column > 0 && column + 1 + word > COLUMNS) {
            fputc('\n', writer->out);
            column = 0;
        }
        if (column == 0) {
            put_indent(writer, indent);
            fputs("# ", writer->out);
            column = indent + 2;
        } else {
            fputc(' ', writer->out);
            column++;
        }
        const char initial = first ? (char)toupper((unsigned char)*text) : *text;
        fprintf(writer->out, "%c%.*s", initial, (int)word - 1, text + 1);
        column += word;
        text += word;
        text += *text == ' ';
        first = false;
    }
}

static void put_sentence(const struct writer *writer, unsigned indent, const char *text,
                         const char *choices)
{
    char whole[1024];
    size_t used = (size_t)snprintf(whole, sizeof whole, "%s", text);
    if (choices) {
        used += (size_t)snprintf(whole + used, sizeof whole - used, " (%s)", choices);
    }
    const bool ended = used > 0 && strchr(".:", whole[used - 1]);
    snprintf(whole + used, sizeof whole - used, "%s", ended ? "" : ".");
    put_comment(writer, indent, whole);
    fputc('\n', writer->out);
}

/* --- keys ----------------------------------------------------------------------------------- */

/* Part `entry` of "a|b"; the only part where there is no bar. */
static void sample_part(char text[MR_OPTION_VALUE_MAX], const char *sample, unsigned entry)
{
    while (entry-- > 0 && strchr(sample, '|')) {
        sample = strchr(sample, '|') + 1;
    }
    snprintf(text, MR_OPTION_VALUE_MAX, "%.*s", (int)strcspn(sample, "|"), sample);
}

static void put_key(const struct writer *writer, const struct mr_option *option, unsigned entry,
                    unsigned indent, bool begins)
{
    char text[MR_OPTION_VALUE_MAX], yaml[2 * MR_OPTION_VALUE_MAX];
    bool shown = true;
    if (writer->config) {
        mr_option_value_text(text, option, mr_config_option_at(writer->config, option, entry));
    } else {
        shown = option->sample;
        sample_part(text, shown ? option->sample : option->otherwise, entry);
    }
    mr_option_value_yaml(yaml, option, text);
    if (!writer->config && entry == 0) {
        put_sentence(writer, begins ? indent - 2 : indent, option->text, option->choices);
    }
    put_indent(writer, begins ? indent - 2 : indent);
    fprintf(writer->out, "%s%s%s: %s\n", begins ? "- " : "", shown ? "" : "# ", option->name, yaml);
}

static void put_keys(const struct writer *writer, const char *section, unsigned entry,
                     unsigned indent, bool begins)
{
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].section, section) == 0) {
            put_key(writer, &rows[i], entry, indent, begins);
            begins = false;
        }
    }
}

/* --- sections ------------------------------------------------------------------------------- */

static unsigned entries_of(const struct writer *writer, const char *section)
{
    if (writer->config) {
        return mr_config_entries(writer->config, section);
    }
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].section, section) == 0 && rows[i].sample) {
            return strchr(rows[i].sample, '|') ? 2 : 1;
        }
    }
    return 1;
}

/* Sections inside the entries of a list: "tasks.round" in "tasks". */
static void put_inner(const struct writer *writer, const char *list, unsigned entry)
{
    size_t count;
    const size_t length = strlen(list);
    const struct mr_option_section *sections = mr_option_sections(&count);
    for (size_t i = 0; i < count; i++) {
        const char *name = sections[i].name;
        if (strncmp(name, list, length) != 0 || name[length] != '.') {
            continue;
        }
        if (!writer->config && entry == 0) {
            put_sentence(writer, 4, sections[i].text, NULL);
        }
        fprintf(writer->out, "    %s:\n", name + length + 1);
        put_keys(writer, name, entry, 6, false);
    }
}

static void put_section(const struct writer *writer, const struct mr_option_section *section)
{
    if (!writer->config) {
        put_sentence(writer, 0, section->text, NULL);
    }
    if (*section->name == '\0') {
        fputs(writer->config ? "" : "\n", writer->out);
        put_keys(writer, "", 0, 0, false);
        return;
    }
    fprintf(writer->out, "%s:\n", section->name);
    if (!mr_option_in_list(section->name)) {
        put_keys(writer, section->name, 0, 2, false);
        return;
    }
    const unsigned entries = entries_of(writer, section->name);
    for (unsigned entry = 0; entry < entries; entry++) {
        put_keys(writer, section->name, entry, 4, true);
        put_inner(writer, section->name, entry);
    }
}

static void put_all(const struct writer *writer)
{
    size_t count;
    const struct mr_option_section *sections = mr_option_sections(&count);
    for (size_t i = 0; i < count; i++) {
        if (strchr(sections[i].name, '.')) {
            continue; /* inside another */
        }
        if (i > 0 && !writer->config) {
            fputc('\n', writer->out);
        }
        put_section(writer, &sections[i]);
    }
}

void mr_config_write_sample(FILE *out)
{
    const struct writer writer = {.out = out};
    put_all(&writer);
}

void mr_config_write_effective(FILE *out, const struct mr_hub_config *config)
{
    const struct writer writer = {.out = out, .config = config};
    put_all(&writer);
}

/* --- the table of the documentation --------------------------------------------------------- */

/* 1,234,567 */
static void put_grouped(FILE *out, uint64_t number)
{
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    for (int i = 0; i < length; i++) {
        fprintf(out, "%s%c", i > 0 && (length - i) % 3 == 0 ? "," : "", digits[i]);
    }
}

static void put_range(FILE *out, const struct mr_option *option)
{
    put_grouped(out, option->min);
    fputs(" to ", out);
    put_grouped(out, option->max);
}

static void put_values(FILE *out, const struct mr_option *option)
{
    static const char *const words[] = {
        [MR_OPTION_FLOAT] = "above 0",           [MR_OPTION_BOOL] = "true, false",
        [MR_OPTION_ADDRESS] = "numeric address", [MR_OPTION_FILE] = "file",
        [MR_OPTION_SECRET] = "file, mode 0600",  [MR_OPTION_FOLDER] = "folder",
        [MR_OPTION_LIST] = "list of numbers",    [MR_OPTION_RANGE] = "any, or a range",
    };
    fputs(mr_option_takes_auto(option) ? "auto, " : "", out);
    if (option->kind == MR_OPTION_RANGE && option->choices) {
        fprintf(out, "%s, ", option->choices);
    }
    switch (option->kind) {
    case MR_OPTION_UINT:
        put_range(out, option);
        break;
    case MR_OPTION_TEXT:
        if (option->min == 0) {
            fprintf(out, "up to %u characters", (unsigned)option->max);
        } else {
            put_range(out, option);
            fputs(" characters", out);
        }
        break;
    case MR_OPTION_CHOICE:
        for (const char *at = option->choices; *at != '\0'; at++) {
            fputs(*at == '|' ? ", " : (char[]){*at, '\0'}, out);
        }
        break;
    default:
        fputs(words[option->kind], out);
    }
}

void mr_config_write_table(FILE *out)
{
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    fputs("| key | default | values | a change | what it is |\n| --- | --- | --- | --- | --- |\n",
          out);
    for (size_t i = 0; i < count; i++) {
        const struct mr_option *option = &rows[i];
        const char *dot = *option->section != '\0' ? "." : "";
        const char *tick = option->otherwise && *option->otherwise != '\0' ? "`" : "";
        const char *text = !option->otherwise           ? "required"
                           : *option->otherwise == '\0' ? "empty"
                                                        : option->otherwise;
        fprintf(out, "| `%s%s%s` | %s%s%s | ", option->section, dot, option->name, tick, text,
                tick);
        put_values(out, option);
        fprintf(out, " | %s | %s |\n", option->change == MR_OPTION_LIVE ? "SIGHUP" : "restart",
                option->text);
    }
}
