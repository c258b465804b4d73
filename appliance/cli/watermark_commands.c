/* watermark_commands.c - watermark add, watermark verify: a keyed mark in a model file. No hub is
 * asked: who has the file and every key part has all that it takes. */
#include <stdlib.h>

#include <openssl/crypto.h>

#include "appliance/cli/cli.h"
#include "appliance/cli/model_folders.h"
#include "appliance/config/signing_key.h"
#include "appliance/model/import.h"
#include "appliance/model/watermark.h"
#include "base/bytes.h"
#include "base/json_text.h"

struct file {
    uint8_t *bytes;
    size_t length;
    struct mr_safetensors model;
};

static void file_fini(struct file *file)
{
    mr_safetensors_fini(&file->model);
    free(file->bytes);
}

/* --- what both read ----------------------------------------------------------------------------
 */

/* F16 and BF16 become F32. 0, or -1: nothing is owed, and file->bytes is the caller's still. */
static int parse_file(struct file *file, struct mr_error *error)
{
    uint8_t *converted;
    size_t length;
    if (mr_import_convert(file->bytes, file->length, &converted, &length, error) != 0) {
        return -1;
    }
    if (converted) {
        free(file->bytes);
        file->bytes = converted;
        file->length = length;
    }
    return mr_safetensors_parse(&file->model, file->bytes, file->length, error);
}

/* MR_EXIT_OK, and file_fini is owed; else the reason was told. */
static int read_model(const struct mr_cli *cli, struct file *file)
{
    struct mr_error error = {""};
    const int read = mr_cli_read(cli, cli->argument, &file->bytes, &file->length);
    if (read != MR_EXIT_OK) {
        return read;
    }
    if (parse_file(file, &error) != 0) {
        free(file->bytes);
        mr_cli_fail(cli, MR_EXIT_INVALID, "%s: %s", cli->argument, error.text);
        return MR_EXIT_INVALID;
    }
    return MR_EXIT_OK;
}

/* What the files of key parts come to. */
struct mark_key {
    uint8_t key[MR_WATERMARK_KEY_BYTES];        /* to be wiped */
    uint8_t hashes[MR_WATERMARK_PARTS_MAX][32]; /* of the parts, as their owners told each other */
    unsigned count;
};

static int read_parts(const struct mr_cli *cli, uint8_t parts[][MR_WATERMARK_KEY_BYTES],
                      struct mark_key *key, struct mr_error *error)
{
    for (unsigned i = 0; i < cli->more_count && i < MR_WATERMARK_PARTS_MAX; i++) {
        if (mr_signing_key_read(parts[i], cli->more[i], error) != 0) {
            return -1;
        }
        if (mr_watermark_part_hash(key->hashes[i], parts[i]) != 0) {
            return mr_error_set(error, "the cryptographic library makes no SHA-256");
        }
    }
    key->count = cli->more_count;
    return mr_watermark_key_join(key->key, (const uint8_t(*)[MR_WATERMARK_KEY_BYTES])parts,
                                 key->count, error);
}

/* On success file_fini is owed, and key->key is to be wiped. */
static int read_both(const struct mr_cli *cli, struct file *file, struct mark_key *key)
{
    uint8_t parts[MR_WATERMARK_PARTS_MAX][MR_WATERMARK_KEY_BYTES];
    struct mr_error error = {""};
    const int bad = read_parts(cli, parts, key, &error);
    OPENSSL_cleanse(parts, sizeof parts);
    if (bad) {
        mr_cli_fail(cli, MR_EXIT_INVALID, "%s", error.text);
        return MR_EXIT_INVALID;
    }
    const int code = read_model(cli, file);
    if (code != MR_EXIT_OK) {
        OPENSSL_cleanse(key->key, sizeof key->key);
    }
    return code;
}

/* Prints the answer with the parts' hashes; it is taken over. */
static void tell(struct mr_cli *cli, const struct mark_key *key, json_t *answer)
{
    json_t *hashes = json_array();
    for (unsigned i = 0; i < key->count; i++) {
        char hex[2 * sizeof key->hashes[i] + 1];
        mr_hex_encode(hex, key->hashes[i], sizeof key->hashes[i]);
        json_array_append_new(hashes, mr_json_text(hex));
    }
    json_object_set_new(answer, "part_hashes", hashes);
    mr_cli_print(cli, answer);
    json_decref(answer);
}

/* --- verify ------------------------------------------------------------------------------------
 */

int mr_command_watermark_verify(struct mr_cli *cli)
{
    struct file file;
    struct mr_watermark_score score;
    struct mark_key key;
    struct mr_error error = {""};
    int code = read_both(cli, &file, &key);
    if (code != MR_EXIT_OK) {
        return code;
    }
    const int bad = mr_watermark_score(&score, &file.model, file.bytes + file.model.data_offset,
                                       key.key, &error);
    OPENSSL_cleanse(key.key, sizeof key.key);
    file_fini(&file);
    if (bad) {
        return mr_cli_fail(cli, MR_EXIT_INVALID, "%s: %s", cli->argument, error.text);
    }
    tell(cli, &key,
         json_pack("{s:b, s:o, s:o, s:o, s:I}", "marked", score.sigma >= MR_WATERMARK_SIGMA,
                   "sigma", mr_json_real(score.sigma), "false_positive",
                   mr_json_real(score.false_positive), "false_positive_at_most",
                   mr_json_real(score.false_positive_at_most), "values", (json_int_t)score.values));
    return MR_EXIT_OK;
}

/* --- add ---------------------------------------------------------------------------------------
 */

static int add(struct mr_cli *cli, struct file *file, const struct mark_key *key, uint64_t strength)
{
    struct mr_error error = {""};
    double moved;
    if (mr_watermark_add(&moved, &file->model, file->bytes + file->model.data_offset, key->key,
                         (double)strength, &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_INVALID, "%s: %s", cli->argument, error.text);
    }
    const struct mr_model_export export = {
        .path = cli->values[MR_CLI_INTO], .bytes = file->bytes, .length = file->length};
    if (mr_model_export_file(&export, &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_FAILED, "%s", error.text);
    }
    tell(cli, key,
         json_pack("{s:o, s:I, s:o}", "written", mr_json_text(export.path), "strength",
                   (json_int_t)strength, "moved_of_rms", mr_json_real(moved)));
    return MR_EXIT_OK;
}

int mr_command_watermark_add(struct mr_cli *cli)
{
    struct file file;
    struct mark_key key;
    uint64_t strength = 0;
    if (!cli->values[MR_CLI_INTO]) {
        return mr_cli_fail(cli, MR_EXIT_USAGE, "--into is missing: name the new file");
    }
    if (!mr_cli_number(cli, MR_CLI_STRENGTH, MR_WATERMARK_STRENGTH_MIN, MR_WATERMARK_STRENGTH_MAX,
                       &strength)) {
        return MR_EXIT_USAGE;
    }
    int code = read_both(cli, &file, &key);
    if (code != MR_EXIT_OK) {
        return code;
    }
    code = add(cli, &file, &key, strength);
    OPENSSL_cleanse(key.key, sizeof key.key);
    file_fini(&file);
    return code;
}
