#include "appliance/cli/model_folders.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/json_text.h"

#define PATH_BYTES  4096
#define ARTEFACT    "application/vnd.millrace.model.v1"
#define WEIGHTS     "application/vnd.safetensors"
#define EMPTY_JSON  "application/vnd.oci.empty.v1+json"
#define MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define TIME_BYTES  32
#define DIGEST_SIZE (7 + 2 * SHA256_DIGEST_LENGTH + 1)

/* --- files -------------------------------------------------------------------------------------
 */

static int path_of(char out[PATH_BYTES], const char *folder, const char *name,
                   struct mr_error *error)
{
    return snprintf(out, PATH_BYTES, "%s%s%s", folder, name[0] ? "/" : "", name) < PATH_BYTES
               ? 0
               : mr_error_set(error, "%.100s...: the path is too long", folder);
}

/* A new file, synced; none where that fails. */
static int put_file(const char *folder, const char *name, const void *bytes, size_t length,
                    struct mr_error *error)
{
    char path[PATH_BYTES];
    if (path_of(path, folder, name, error) != 0) {
        return -1;
    }
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    size_t done = 0;
    bool good = fd >= 0;
    while (good && done < length) {
        const ssize_t n = write(fd, (const uint8_t *)bytes + done, length - done);
        good = n > 0;
        done += good ? (size_t)n : 0;
    }
    good = good && fsync(fd) == 0;
    const int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (fd >= 0 && !good) {
        (void)unlink(path);
    }
    return good ? 0 : mr_error_set(error, "%s: %s%s", path, strerror(why), mr_error_disk_hint(why));
}

static int put_text(const char *folder, const char *name, const char *text, struct mr_error *error)
{
    return text ? put_file(folder, name, text, strlen(text), error)
                : mr_error_set(error, "out of memory");
}

static int make_folder(const char *folder, const char *name, struct mr_error *error)
{
    char path[PATH_BYTES];
    return path_of(path, folder, name, error) != 0 ? -1
           : mkdir(path, 0755) == 0                ? 0
                                    : mr_error_set(error, "%s: %s", path, strerror(errno));
}

/* Beside the name, and over to it once `fill` has made it whole: a file or a folder. */
static int make_whole(const struct mr_model_export *model,
                      int (*fill)(const struct mr_model_export *model, const char *partial,
                                  struct mr_error *error),
                      struct mr_error *error)
{
    char partial[PATH_BYTES];
    if (access(model->path, F_OK) == 0) {
        return mr_error_set(error, "%s is there already: name another place with --into",
                            model->path);
    }
    if (snprintf(partial, sizeof partial, "%s.partial", model->path) >= (int)sizeof partial) {
        return mr_error_set(error, "%.100s...: the path is too long", model->path);
    }
    if (access(partial, F_OK) == 0) {
        return mr_error_set(error,
                            "%s is there, from an export that is under way or was cut off: remove "
                            "it, or name another place with --into",
                            partial);
    }
    if (fill(model, partial, error) != 0) {
        return -1;
    }
    return rename(partial, model->path) == 0
               ? 0
               : mr_error_set(error, "%s: %s", model->path, strerror(errno));
}

static int fill_file(const struct mr_model_export *model, const char *partial,
                     struct mr_error *error)
{
    return put_file(partial, "", model->bytes, model->length, error);
}

int mr_model_export_file(const struct mr_model_export *model, struct mr_error *error)
{
    return make_whole(model, fill_file, error);
}

/* --- what both say ------------------------------------------------------------------------------
 */

static void time_text(char text[TIME_BYTES], const struct mr_model_export *model, const char *form)
{
    const time_t seconds =
        (time_t)(json_integer_value(json_object_get(model->version, "made_unix_ms")) / 1000);
    struct tm utc;
    if (!gmtime_r(&seconds, &utc) || strftime(text, TIME_BYTES, form, &utc) == 0) {
        snprintf(text, TIME_BYTES, "1970-01-01T00:00:00Z");
    }
}

static const char *hash_of(const struct mr_model_export *model)
{
    const char *hash = json_string_value(json_object_get(model->version, "model_hash"));
    return hash ? hash : "";
}

/* --- MLflow -------------------------------------------------------------------------------------
 */

/* YAML, of which JSON is a part: what the hub says stands as one JSON object. */
static int fill_mlflow(const struct mr_model_export *model, const char *folder,
                       struct mr_error *error)
{
    char when[TIME_BYTES], *text = NULL;
    char *about = json_dumps(model->version, JSON_COMPACT | JSON_REAL_PRECISION(9));
    time_text(when, model, "%Y-%m-%d %H:%M:%S.000000");
    const int length =
        about ? asprintf(&text,
                         "artifact_path: %s\n"
                         "flavors:\n"
                         "  safetensors:\n"
                         "    data: model.safetensors\n"
                         "    sha256: %s\n"
                         "model_size_bytes: %zu\n"
                         "model_uuid: %.32s\n"
                         "utc_time_created: '%s'\n"
                         "metadata:\n"
                         "  millrace: %s\n",
                         model->task, hash_of(model), model->length, hash_of(model), when, about)
              : -1;
    int result = length < 0 ? mr_error_set(error, "out of memory") : make_folder(folder, "", error);
    if (result == 0) {
        result = put_file(folder, "model.safetensors", model->bytes, model->length, error);
    }
    if (result == 0) {
        result = put_text(folder, "MLmodel", text, error);
    }
    free(about);
    free(length < 0 ? NULL : text);
    return result;
}

int mr_model_export_mlflow(const struct mr_model_export *model, struct mr_error *error)
{
    return make_whole(model, fill_mlflow, error);
}

/* --- OCI ----------------------------------------------------------------------------------------
 */

/* Writes a blob under its digest; "sha256:…" in `digest`. */
static int put_blob(const char *folder, const void *bytes, size_t length, char digest[DIGEST_SIZE],
                    struct mr_error *error)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    char name[32 + 2 * SHA256_DIGEST_LENGTH];
    SHA256(bytes, length, hash);
    memcpy(digest, "sha256:", 8);
    mr_hex_encode(digest + 7, hash, sizeof hash);
    snprintf(name, sizeof name, "blobs/sha256/%s", digest + 7);
    return put_file(folder, name, bytes, length, error);
}

static json_t *descriptor(const char *type, const char *digest, size_t length)
{
    return json_pack("{s:o, s:o, s:I}", "mediaType", mr_json_text(type), "digest",
                     mr_json_text(digest), "size", (json_int_t)length);
}

/* Texts, as annotations are: the numbers of the version among them. */
static json_t *annotations_of(const struct mr_model_export *model)
{
    static const char *const members[] = {"version", "kind",       "round",  "included",
                                          "epsilon", "model_hash", "parent", "announcement_hash"};
    char when[TIME_BYTES], name[64];
    time_text(when, model, "%Y-%m-%dT%H:%M:%SZ");
    json_t *annotations =
        json_pack("{s:o, s:o}", "org.opencontainers.image.created", mr_json_text(when),
                  "org.opencontainers.image.title", mr_json_text(model->task));
    for (unsigned i = 0; i < sizeof members / sizeof members[0]; i++) {
        const json_t *value = json_object_get(model->version, members[i]);
        char *text = value && !json_is_string(value)
                         ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9))
                         : NULL;
        snprintf(name, sizeof name, "millrace.%s", members[i]);
        if (value) {
            json_object_set_new(annotations, name,
                                text ? mr_json_text(text) : mr_json_text(json_string_value(value)));
        }
        free(text);
    }
    return annotations;
}

static char *manifest_text(const struct mr_model_export *model, const char *config,
                           const char *layer)
{
    json_t *weights = descriptor(WEIGHTS, layer, model->length);
    json_object_set_new(
        weights, "annotations",
        json_pack("{s:o}", "org.opencontainers.image.title", mr_json_text("model.safetensors")));
    json_t *manifest = json_pack(
        "{s:i, s:o, s:o, s:o, s:[o], s:o}", "schemaVersion", 2, "mediaType", mr_json_text(MANIFEST),
        "artifactType", mr_json_text(ARTEFACT), "config", descriptor(EMPTY_JSON, config, 2),
        "layers", weights, "annotations", annotations_of(model));
    char *text = json_dumps(manifest, JSON_COMPACT);
    json_decref(manifest);
    return text;
}

static int put_index(const struct mr_model_export *model, const char *folder, const char *digest,
                     size_t length, struct mr_error *error)
{
    char name[32];
    json_t *entry = descriptor(MANIFEST, digest, length);
    snprintf(name, sizeof name, "v%lld",
             (long long)json_integer_value(json_object_get(model->version, "version")));
    json_object_set_new(entry, "artifactType", mr_json_text(ARTEFACT));
    json_object_set_new(
        entry, "annotations",
        json_pack("{s:o}", "org.opencontainers.image.ref.name", mr_json_text(name)));
    json_t *index =
        json_pack("{s:i, s:o, s:[o]}", "schemaVersion", 2, "mediaType",
                  mr_json_text("application/vnd.oci.image.index.v1+json"), "manifests", entry);
    char *text = json_dumps(index, JSON_COMPACT);
    json_decref(index);
    const int result = put_text(folder, "index.json", text, error);
    free(text);
    return result;
}

static int fill_oci(const struct mr_model_export *model, const char *folder, struct mr_error *error)
{
    char config[DIGEST_SIZE], layer[DIGEST_SIZE], digest[DIGEST_SIZE];
    if (make_folder(folder, "", error) != 0 || make_folder(folder, "blobs", error) != 0 ||
        make_folder(folder, "blobs/sha256", error) != 0 ||
        put_text(folder, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", error) != 0 ||
        put_blob(folder, "{}", 2, config, error) != 0 ||
        put_blob(folder, model->bytes, model->length, layer, error) != 0) {
        return -1;
    }
    char *text = manifest_text(model, config, layer);
    const size_t length = text ? strlen(text) : 0;
    const int result = text && put_blob(folder, text, length, digest, error) == 0
                           ? put_index(model, folder, digest, length, error)
                           : -1;
    free(text);
    return result;
}

int mr_model_export_oci(const struct mr_model_export *model, struct mr_error *error)
{
    return make_whole(model, fill_oci, error);
}
