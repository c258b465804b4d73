/* key_command.c - key new, key public: a hub's signing key; watermark key: its part of a mark's.
 * Standard output has the half that may be known as its file wants it, so that it can be sent on.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "appliance/cli/cli.h"
#include "appliance/cli/pki_file.h"
#include "appliance/config/signing_key.h"
#include "appliance/model/watermark.h"
#include "base/bytes.h"
#include "base/json_text.h"

static void print_public(const struct mr_cli *cli, const char *name,
                         const uint8_t public_key[MR_SIGNING_KEY_BYTES])
{
    char hex[2 * MR_SIGNING_KEY_BYTES + 1];
    mr_hex_encode(hex, public_key, MR_SIGNING_KEY_BYTES);
    if (!cli->json) {
        fprintf(cli->out, "%s\n", hex);
        return;
    }
    json_t *made =
        json_pack("{s:o, s:o}", "file", mr_json_text(cli->argument), name, mr_json_text(hex));
    mr_cli_print(cli, made);
    json_decref(made);
}

/* Writes a seed to the path, of which the folder must be there. */
static int write_seed(const char *path, const uint8_t seed[MR_SIGNING_KEY_BYTES], bool force,
                      struct mr_error *error)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const int length = slash == path ? 1 : slash ? (int)(slash - path) : 1;
    if (length >= PATH_MAX) {
        return mr_error_set(error, "the path is too long: %.64s…", path);
    }
    snprintf(dir, sizeof dir, "%.*s", length, slash ? path : ".");
    return mr_pki_write_hex(dir, slash ? slash + 1 : path, seed, MR_SIGNING_KEY_BYTES, 0600, force,
                            error);
}

static bool is_there(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

int mr_command_key_new(struct mr_cli *cli)
{
    uint8_t seed[MR_SIGNING_KEY_BYTES], public_key[MR_SIGNING_KEY_BYTES];
    struct mr_error error = {""};
    const bool force = cli->values[MR_CLI_FORCE];
    if (!force && is_there(cli->argument)) {
        return mr_cli_fail(cli, MR_EXIT_FAILED,
                           "%s exists, and is left as it is: a new signing key means a new "
                           "configuration on every hub and device that pins the old one; --force "
                           "replaces it",
                           cli->argument);
    }
    if (RAND_bytes(seed, sizeof seed) != 1 || mr_signing_key_public(public_key, seed) != 0) {
        OPENSSL_cleanse(seed, sizeof seed);
        return mr_cli_fail(cli, MR_EXIT_FAILED, "the cryptographic library makes no Ed25519 key");
    }
    const int bad = write_seed(cli->argument, seed, force, &error);
    OPENSSL_cleanse(seed, sizeof seed);
    if (bad) {
        return mr_cli_fail(cli, MR_EXIT_FAILED, "%s", error.text);
    }
    print_public(cli, "public_key", public_key);
    return MR_EXIT_OK;
}

int mr_command_key_public(struct mr_cli *cli)
{
    uint8_t seed[MR_SIGNING_KEY_BYTES], public_key[MR_SIGNING_KEY_BYTES];
    struct mr_error error = {""};
    if (mr_signing_key_read(seed, cli->argument, &error) != 0) {
        return mr_cli_fail(cli, MR_EXIT_INVALID, "%s", error.text);
    }
    const int bad = mr_signing_key_public(public_key, seed);
    OPENSSL_cleanse(seed, sizeof seed);
    if (bad) {
        return mr_cli_fail(cli, MR_EXIT_FAILED, "the cryptographic library has no Ed25519");
    }
    print_public(cli, "public_key", public_key);
    return MR_EXIT_OK;
}

int mr_command_watermark_key(struct mr_cli *cli)
{
    uint8_t part[MR_WATERMARK_KEY_BYTES], hash[32];
    struct mr_error error = {""};
    if (!cli->values[MR_CLI_FORCE] && is_there(cli->argument)) {
        return mr_cli_fail(cli, MR_EXIT_FAILED,
                           "%s exists, and is left as it is: without it no mark that was made with "
                           "it is found again; --force replaces it",
                           cli->argument);
    }
    if (RAND_bytes(part, sizeof part) != 1 || mr_watermark_part_hash(hash, part) != 0) {
        OPENSSL_cleanse(part, sizeof part);
        return mr_cli_fail(cli, MR_EXIT_FAILED, "the cryptographic library makes no key part");
    }
    const int bad = write_seed(cli->argument, part, cli->values[MR_CLI_FORCE] != NULL, &error);
    OPENSSL_cleanse(part, sizeof part);
    if (bad) {
        return mr_cli_fail(cli, MR_EXIT_FAILED, "%s", error.text);
    }
    print_public(cli, "part_hash", hash);
    return MR_EXIT_OK;
}
