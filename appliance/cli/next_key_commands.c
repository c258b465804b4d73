/* next_key_commands.c - key next, key endorse, key announce: a hub's next signing key, as a
 * statement that goes from operator to operator and then to every hub. */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "appliance/cli/task.h"
#include "appliance/config/signing_key.h"
#include "appliance/storage/files.h"
#include "base/bytes.h"
#include "base/json_text.h"
#include "wire/key_chain.h"

static int need(const struct mr_cli *cli, bool there, const char *option)
{
    return there ? MR_EXIT_OK : mr_cli_fail(cli, MR_EXIT_USAGE, "%s is needed", option);
}

static int hub_index(struct mr_cli *cli, uint16_t *index)
{
    uint64_t number = 0;
    if (need(cli, cli->values[MR_CLI_HUB_INDEX], "--hub-index") != MR_EXIT_OK ||
        !mr_cli_number(cli, MR_CLI_HUB_INDEX, 0, 65535, &number)) {
        return MR_EXIT_USAGE;
    }
    *index = (uint16_t)number;
    return MR_EXIT_OK;
}

/* What is signed, for whoever is to sign it too. */
static void print(const struct mr_cli *cli, const struct mr_key_statement *statement)
{
    char old_key[2 * MR_PUBLIC_KEY_BYTES + 1], new_key[2 * MR_PUBLIC_KEY_BYTES + 1];
    mr_hex_encode(old_key, statement->old_key, MR_PUBLIC_KEY_BYTES);
    mr_hex_encode(new_key, statement->new_key, MR_PUBLIC_KEY_BYTES);
    json_t *signers = json_array();
    for (unsigned i = 0; i < statement->word_count; i++) {
        json_array_append_new(signers, json_integer(statement->words[i].hub_index));
    }
    json_t *said =
        json_pack("{s:o, s:I, s:i, s:o, s:o, s:o}", "task", mr_json_text(statement->task), "number",
                  (json_int_t)statement->number, "hub", statement->hub_index, "old_key",
                  mr_json_text(old_key), "new_key", mr_json_text(new_key), "signed_by", signers);
    mr_cli_print(cli, said);
    json_decref(said);
}

static int write_file(const struct mr_cli *cli, const char *path,
                      const struct mr_key_statement *statement)
{
    uint8_t bytes[MR_KEY_SIGNED_MAX];
    struct mr_error error;
    const size_t length = mr_key_statement_encode(bytes, statement);
    if (mr_file_replace(path, bytes, length, &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_FAILED, "%s", error.text);
    }
    print(cli, statement);
    return MR_EXIT_OK;
}

static int read_seed(const struct mr_cli *cli, const char *path, uint8_t seed[MR_SIGNING_KEY_BYTES])
{
    struct mr_error error;
    return mr_signing_key_read(seed, path, &error) == 0
               ? MR_EXIT_OK
               : mr_cli_fail(cli, MR_EXIT_INVALID, "%s", error.text);
}

/* --- next ------------------------------------------------------------------------------------- */

static int make(const struct mr_cli *cli, struct mr_key_statement *statement,
                const uint8_t old_seed[MR_SIGNING_KEY_BYTES],
                const uint8_t new_seed[MR_SIGNING_KEY_BYTES])
{
    if (mr_signing_key_public(statement->old_key, old_seed) != 0 ||
        mr_signing_key_public(statement->new_key, new_seed) != 0 ||
        mr_key_statement_hold(statement, new_seed) != 0 ||
        mr_key_statement_endorse(statement, statement->hub_index, old_seed) != 0) {
        return mr_cli_fail(cli, MR_EXIT_FAILED, "the cryptographic library has no Ed25519");
    }
    return write_file(cli, cli->values[MR_CLI_OUT], statement);
}

int mr_command_key_next(struct mr_cli *cli)
{
    struct mr_key_statement statement = {.number = 0};
    uint8_t old_seed[MR_SIGNING_KEY_BYTES], new_seed[MR_SIGNING_KEY_BYTES];
    uint64_t number = 0;
    if (need(cli, cli->values[MR_CLI_SIGNING_KEY], "--signing-key") != MR_EXIT_OK ||
        need(cli, cli->values[MR_CLI_OUT], "--out") != MR_EXIT_OK ||
        need(cli, cli->values[MR_CLI_TASK], "--task") != MR_EXIT_OK ||
        hub_index(cli, &statement.hub_index) != MR_EXIT_OK ||
        !mr_cli_number(cli, MR_CLI_NUMBER, 1, MR_KEY_CHAIN_MAX, &number) ||
        mr_task_take(cli, cli->values[MR_CLI_TASK], statement.task) != MR_EXIT_OK) {
        return MR_EXIT_USAGE;
    }
    statement.number = (uint32_t)number;
    int code = read_seed(cli, cli->values[MR_CLI_SIGNING_KEY], old_seed);
    if (code == MR_EXIT_OK) {
        code = read_seed(cli, cli->argument, new_seed);
    }
    if (code == MR_EXIT_OK) {
        code = make(cli, &statement, old_seed, new_seed);
    }
    OPENSSL_cleanse(old_seed, sizeof old_seed);
    OPENSSL_cleanse(new_seed, sizeof new_seed);
    return code;
}

/* --- endorse ---------------------------------------------------------------------------------- */

static int read_statement(const struct mr_cli *cli, struct mr_key_statement *statement,
                          uint8_t **bytes, size_t *length)
{
    struct mr_error error = {.text = "bytes follow the statement"};
    size_t taken;
    const int read = mr_cli_read(cli, cli->argument, bytes, length);
    if (read != MR_EXIT_OK) {
        return read;
    }
    if (mr_key_statement_decode(statement, *bytes, *length, &taken, &error) != 0 ||
        taken != *length) {
        free(*bytes);
        *bytes = NULL;
        return mr_cli_fail(cli, MR_EXIT_INVALID, "%s: %s", cli->argument, error.text);
    }
    return MR_EXIT_OK;
}

int mr_command_key_endorse(struct mr_cli *cli)
{
    struct mr_key_statement statement;
    uint8_t seed[MR_SIGNING_KEY_BYTES], *bytes;
    size_t length;
    uint16_t index;
    if (need(cli, cli->values[MR_CLI_SIGNING_KEY], "--signing-key") != MR_EXIT_OK ||
        hub_index(cli, &index) != MR_EXIT_OK) {
        return MR_EXIT_USAGE;
    }
    int code = read_statement(cli, &statement, &bytes, &length);
    free(bytes);
    if (code == MR_EXIT_OK) {
        code = read_seed(cli, cli->values[MR_CLI_SIGNING_KEY], seed);
    }
    if (code != MR_EXIT_OK) {
        return code;
    }
    const int bad = mr_key_statement_endorse(&statement, index, seed);
    OPENSSL_cleanse(seed, sizeof seed);
    return bad ? mr_cli_fail(cli, MR_EXIT_FAILED, "the statement cannot be signed: too many hubs")
               : write_file(cli, cli->argument, &statement);
}

/* --- announce --------------------------------------------------------------------------------- */

struct file {
    uint8_t *bytes;
    size_t length;
};

static int announce(struct mr_ask *ask, void *context)
{
    const struct file *file = context;
    char task[MR_CLI_TASK_BYTES], path[MR_CLI_PATH_BYTES];
    struct mr_h2_response response = {.status = 0};
    int code = mr_task_choose(ask, task);
    if (code != MR_EXIT_OK) {
        return code;
    }
    mr_task_path(path, task, "admin/keys");
    code = mr_ask_bytes(ask, path, file->bytes, file->length, &response);
    mr_h2_response_fini(&response);
    return code;
}

int mr_command_key_announce(struct mr_cli *cli)
{
    struct mr_key_statement statement;
    struct file file;
    int code = read_statement(cli, &statement, &file.bytes, &file.length);
    if (code == MR_EXIT_OK) {
        code = mr_ask_run(cli, announce, &file);
    }
    if (code == MR_EXIT_OK) {
        print(cli, &statement);
    }
    free(file.bytes);
    return code;
}
