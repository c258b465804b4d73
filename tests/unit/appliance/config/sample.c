#include "tests/unit/appliance/config/sample.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "appliance/config/hub_config.h"
#include "base/assert.h"
#include "base/bytes.h"

static const char *const plain_files[] = {"pki/ca.pem", "pki/hub-0.pem", "model.safetensors"};
static const char *const key_files[] = {"pki/hub-0.sign.pub", "pki/hub-1.sign.pub"};
static const char *const secrets[] = {"pki/hub-0.sign.key", "pki/hub-0.key"};

static char *read_text(const char *path)
{
    FILE *f = fopen(path, "re");
    MR_ASSERT(f);
    char *text = calloc(1, 65536);
    MR_ASSERT(text && fread(text, 1, 65535, f) > 0);
    fclose(f);
    return text;
}

void sample_write(const struct sample *sample, const char *name, const char *text, mode_t mode)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", sample->folder, name);
    unlink(path);
    FILE *f = fopen(path, "we");
    MR_ASSERT(f);
    MR_ASSERT(fputs(text, f) >= 0);
    MR_ASSERT(fchmod(fileno(f), mode) == 0);
    MR_ASSERT(fclose(f) == 0);
}

/* The key pair of the seed that is all `fill`. */
static void write_pair(const struct sample *sample, unsigned hub, uint8_t fill)
{
    uint8_t seed[32], public_key[32];
    size_t length = sizeof public_key;
    char hex[66], name[32];
    memset(seed, fill, sizeof seed);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    MR_ASSERT(key && EVP_PKEY_get_raw_public_key(key, public_key, &length) == 1);
    EVP_PKEY_free(key);
    mr_hex_encode(hex, seed, sizeof seed);
    strcat(hex, "\n");
    snprintf(name, sizeof name, "pki/hub-%u.sign.key", hub);
    sample_write(sample, name, hex, 0600);
    mr_hex_encode(hex, public_key, sizeof public_key);
    snprintf(name, sizeof name, "pki/hub-%u.sign.pub", hub);
    sample_write(sample, name, hex, 0644);
}

void sample_init(struct sample *sample, const char *source)
{
    char path[128];
    strcpy(sample->folder, "/tmp/millrace-config-XXXXXX");
    MR_ASSERT(mkdtemp(sample->folder));
    snprintf(sample->path, sizeof sample->path, "%s/hub.yaml", sample->folder);
    snprintf(path, sizeof path, "%s/pki", sample->folder);
    MR_ASSERT(mkdir(path, 0700) == 0);
    for (size_t i = 0; i < sizeof plain_files / sizeof *plain_files; i++) {
        sample_write(sample, plain_files[i], "x", 0644);
    }
    write_pair(sample, 0, 1);
    write_pair(sample, 1, 2);
    sample_write(sample, "pki/hub-0.key", "x", 0600);
    sample->yaml = read_text(source);
    sample_write(sample, "hub.yaml", sample->yaml, 0644);
}

static void drop(const struct sample *sample, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", sample->folder, name);
    unlink(path);
}

void sample_fini(struct sample *sample)
{
    char path[128];
    for (size_t i = 0; i < sizeof plain_files / sizeof *plain_files; i++) {
        drop(sample, plain_files[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        drop(sample, key_files[i]);
        drop(sample, secrets[i]);
    }
    drop(sample, "pki/hub-1.sign.key");
    drop(sample, "hub.yaml");
    snprintf(path, sizeof path, "%s/pki", sample->folder);
    rmdir(path);
    rmdir(sample->folder);
    free(sample->yaml);
}

void sample_edit(const struct sample *sample, const char *from, const char *to)
{
    const char *at = strstr(sample->yaml, from);
    MR_ASSERT(at);
    char *text;
    MR_ASSERT(asprintf(&text, "%.*s%s%s", (int)(at - sample->yaml), sample->yaml, to,
                       at + strlen(from)) > 0);
    sample_write(sample, "hub.yaml", text, 0644);
    free(text);
}

/* --- for cmocka --------------------------------------------------------------------------------
 */

int sample_set_up(void **state)
{
    struct sample_fixture *fixture = *state;
    sample_init(&fixture->sample, fixture->source);
    return 0;
}

int sample_tear_down(void **state)
{
    sample_fini(&((struct sample_fixture *)*state)->sample);
    return 0;
}

static unsigned line_with(const struct sample *sample, const struct sample_wrong *wrong)
{
    char text[65536];
    FILE *f = fopen(sample->path, "re");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    const char *found = strstr(text, wrong->line_of);
    assert_non_null(found);
    unsigned line = 1;
    for (const char *at = text; at < found; at++) {
        line += *at == '\n';
    }
    return line;
}

void sample_expect_wrong(const struct sample *sample, const struct sample_wrong *wrong,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct mr_hub_config *c;
        struct mr_error error = {""};
        sample_edit(sample, wrong[i].from, wrong[i].to);
        if (mr_hub_config_load(&c, sample->path, &error) == 0) {
            fail_msg("'%s' was accepted", wrong[i].to);
        }
        assert_null(c);
        char place[128];
        snprintf(place, sizeof place, "%s:", sample->path);
        if (wrong[i].line_of) {
            snprintf(place, sizeof place, "%s:%u: ", sample->path, line_with(sample, &wrong[i]));
        }
        if (strncmp(error.text, place, strlen(place)) != 0 || !strstr(error.text, wrong[i].says)) {
            fail_msg("'%s'\n  says    %s\n  wanted  %s… %s", wrong[i].to, error.text, place,
                     wrong[i].says);
        }
    }
}
