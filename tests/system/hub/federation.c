/* federation.c - certificates, configuration, processes and files of the hubs. */
#include "federation.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/appliance/storage/scratch.h"
#include "appliance/cli/pki.h"
#include "appliance/storage/files.h"
#include "base/bytes.h"
#include "wire/safetensors.h"

static void free_ports(uint16_t *ports, unsigned count)
{
    int fds[8];
    for (unsigned i = 0; i < count; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        socklen_t length = sizeof address;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fds[i], (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&address, &length), 0);
        ports[i] = ntohs(address.sin_port);
    }
    for (unsigned i = 0; i < count; i++) {
        close(fds[i]);
    }
}

static void write_model(struct federation *federation)
{
    const struct mr_tensor tensor = {
        .name = "w", .dims = {DIMENSION}, .rank = 1, .count = DIMENSION};
    char path[4096];
    size_t header;
    uint8_t *bytes = mr_safetensors_header(&tensor, 1, &header);
    const size_t length = header + 4 * DIMENSION;
    bytes = realloc(bytes, length);
    memset(bytes + header, 0, 4 * DIMENSION);
    SHA256(bytes, length, federation->model_hash);
    snprintf(path, sizeof path, "%s/initial.safetensors", federation->dir);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
    free(bytes);
}

static void write_config(struct federation *federation, unsigned hub, const char *extra)
{
    char path[4096], list[64] = "0";
    for (unsigned i = 1; i < FEDERATION_HUBS; i++) {
        snprintf(list + strlen(list), sizeof list - strlen(list), ", %u", i);
    }
    snprintf(path, sizeof path, "%s/hub-%u.yaml", federation->dir, hub);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "data_dir: data-%u\nlog_level: debug\n"
            "identity:\n  index: %u\n  signing_key_file: pki/hub-%u.sign.key\n"
            "  ca_file: pki/ca.pem\n  certificate_file: pki/hub-%u.pem\n"
            "  private_key_file: pki/hub-%u.key\n"
            "control:\n  listen_host: 127.0.0.1\n  port: %u\n"
            "upload:\n  listen_host: 127.0.0.1\n  port_base: 0\n  slots_per_worker: 16\n"
            "  share_bytes_max: 65536\n  receive_buffer_bytes: 262144\n"
            "tasks:\n  - name: default\n    hubs: [%s]\n"
            "    initial_model_file: initial.safetensors\n    round:\n"
            "      cohort_min: 3\n      quorum: 4\n      deadline_ms: 120000\n"
            "      weight_max: 10\n      commit_interval_ms: 20\n      peer_timeout_ms: 20000\n%s"
            "hubs:\n",
            hub, hub, hub, hub, hub, federation->ports[hub], list, extra);
    for (unsigned i = 0; i < FEDERATION_HUBS; i++) {
        fprintf(file,
                "  - index: %u\n    name: hub-%u\n    host: 127.0.0.1\n    port: %u\n"
                "    public_key_file: pki/hub-%u.sign.pub\n",
                i, i, federation->ports[i], i);
    }
    fclose(file);
}

static const char *program; /* of the hubs */

bool federation_program(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s MILLRACE-HUB\n", argv[0]);
        return false;
    }
    program = argv[1];
    return true;
}

const char *federation_hub_program(void)
{
    return program;
}

struct federation *federation_open(const char *extra)
{
    struct federation *federation = calloc(1, sizeof *federation);
    struct mr_error error = {.text = ""};
    char pki[4096];
    assert_non_null(federation);
    federation->dir = scratch_open();
    federation->kernels = mr_kernels_select(UINT32_MAX);
    snprintf(pki, sizeof pki, "%s/pki", federation->dir);
    const struct mr_pki_plan plan = {
        .dir = pki, .hubs = FEDERATION_HUBS, .devices = FEDERATION_DEVICES, .operators = 1};
    if (mr_pki_init(&plan, &error) != 0) {
        fail_msg("%s", error.text);
    }
    free_ports(federation->ports, FEDERATION_HUBS);
    write_model(federation);
    for (unsigned i = 0; i < FEDERATION_HUBS; i++) {
        write_config(federation, i, extra);
    }
    return federation;
}

void federation_close(struct federation *federation)
{
    for (unsigned i = 0; i < FEDERATION_HUBS; i++) {
        if (federation->hubs[i]) {
            federation_stop(federation, i, SIGTERM);
        }
    }
    scratch_close(federation->dir);
    free(federation);
}

void federation_edit(const struct federation *federation, unsigned hub, const char *edit)
{
    char command[4400];
    snprintf(command, sizeof command, "sed -i '%s' '%s/hub-%u.yaml'", edit, federation->dir, hub);
    assert_int_equal(system(command), 0);
}

void federation_run(struct federation *federation)
{
    federation_start(federation, 1);
    federation_start(federation, 0);
}

int federation_setup(void **state)
{
    struct federation *federation = federation_open("");
    federation_run(federation);
    *state = federation;
    return 0;
}

int federation_teardown(void **state)
{
    federation_close(*state);
    return 0;
}

/* --- processes ------------------------------------------------------------------------------- */

static void run_hub(const struct federation *federation, unsigned hub, int ready)
{
    char config[4096], log[4096], number[16];
    /* A test that crashes takes its hubs with it: one that went on would hold the test's output. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(config, sizeof config, "%s/hub-%u.yaml", federation->dir, hub);
    snprintf(log, sizeof log, "%s/hub-%u.log", federation->dir, hub);
    snprintf(number, sizeof number, "%d", ready);
    const int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDERR_FILENO);
    if (federation->file_limit) {
        close(fd); /* the log is longer than that */
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    }
    execl(program, "millrace-hub", "--config", config, "--ready-fd", number, (char *)NULL);
    _exit(127);
}

void federation_start(struct federation *federation, unsigned hub)
{
    int ends[2];
    char line[64] = "";
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        run_hub(federation, hub, ends[1]);
    }
    close(ends[1]);
    federation->hubs[hub] = pid;
    const ssize_t got = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    if (got <= 0 || strncmp(line, "READY control=", 14) != 0) {
        fail_msg("hub %u did not start: see %s/hub-%u.log", hub, federation->dir, hub);
    }
    assert_int_equal(atoi(line + 14), federation->ports[hub]);
    if (federation->file_limit) { /* not before: gcov writes its files at the exec */
        const struct rlimit limit = {federation->file_limit, federation->file_limit};
        assert_int_equal(prlimit(pid, RLIMIT_FSIZE, &limit, NULL), 0);
    }
}

int federation_try(const struct federation *federation, const char *config, char *said,
                   size_t said_bytes)
{
    char command[9000];
    size_t length = 0;
    snprintf(command, sizeof command, "timeout 60 '%s' --config '%s/%s' 2>&1", program,
             federation->dir, config);
    FILE *output = popen(command, "re");
    assert_non_null(output);
    for (size_t n = 1; n > 0 && length + 1 < said_bytes; length += n) {
        n = fread(said + length, 1, said_bytes - 1 - length, output);
    }
    said[length] = '\0';
    const int status = pclose(output);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int federation_stop(struct federation *federation, unsigned hub, int signal)
{
    kill(federation->hubs[hub], signal);
    return federation_wait(federation, hub);
}

void federation_restart(struct federation *federation, unsigned hub)
{
    assert_int_equal(federation_stop(federation, hub, SIGKILL), -1);
    federation_start(federation, hub);
}

int federation_wait(struct federation *federation, unsigned hub)
{
    int status;
    while (waitpid(federation->hubs[hub], &status, 0) < 0 && errno == EINTR) {
    }
    federation->hubs[hub] = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* --- files ----------------------------------------------------------------------------------- */

uint8_t *federation_file(const struct federation *federation, unsigned hub, const char *name,
                         size_t *length)
{
    char path[4096];
    uint8_t *bytes;
    struct mr_error error = {.text = ""};
    snprintf(path, sizeof path, "%s/data-%u/tasks/default/%s", federation->dir, hub, name);
    if (mr_file_read(path, &bytes, length, &error) != 0) {
        fail_msg("%s: %s", path, error.text);
    }
    return bytes;
}

bool federation_has_file(struct federation *federation, unsigned hub, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/data-%u/tasks/default/%s", federation->dir, hub, name);
    return access(path, R_OK) == 0;
}

void federation_remove_file(const struct federation *federation, unsigned hub, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/data-%u/tasks/default/%s", federation->dir, hub, name);
    unlink(path);
}

static void read_key(const struct federation *federation, unsigned hub, const char *end,
                     uint8_t key[32])
{
    char path[4096], hex[65] = "";
    snprintf(path, sizeof path, "%s/pki/hub-%u.sign.%s", federation->dir, hub, end);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%64s", hex), 1);
    fclose(file);
    assert_int_equal(mr_hex_decode(key, 32, hex), 0);
}

void federation_private_key(const struct federation *federation, unsigned hub, uint8_t key[32])
{
    read_key(federation, hub, "key", key);
}

void federation_public_key(const struct federation *federation, unsigned hub, uint8_t key[32])
{
    read_key(federation, hub, "pub", key);
}
