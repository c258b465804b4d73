#include "wire/identity.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

static const char device_prefix[] = "urn:millrace:device:";
static const char hub_prefix[] = "urn:millrace:hub:";
static const char operator_prefix[] = "urn:millrace:operator:";
static const char reader_prefix[] = "urn:millrace:reader:";

/* The text after the prefix, or NULL. */
static const char *after(const char *uri, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(uri, prefix, length) == 0 ? uri + length : NULL;
}

static int parse_device(struct mr_identity *identity, const char *text)
{
    /* One spelling an identity: lower case only. */
    for (const char *p = text; *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'F') {
            return -1;
        }
    }
    if (mr_hex_decode(identity->client_id, MR_CLIENT_ID_BYTES, text) != 0) {
        return -1;
    }
    identity->role = MR_ROLE_DEVICE;
    return 0;
}

static int parse_hub(struct mr_identity *identity, const char *text)
{
    uint32_t index = 0;
    size_t digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 6; digits++) {
        index = index * 10 + (uint32_t)(text[digits] - '0');
    }
    if (digits == 0 || digits > 5 || text[digits] != '\0' || index > UINT16_MAX) {
        return -1;
    }
    if (digits > 1 && text[0] == '0') {
        return -1;
    }
    identity->hub_index = (uint16_t)index;
    identity->role = MR_ROLE_HUB;
    return 0;
}

static int parse_name(struct mr_identity *identity, enum mr_role role, const char *text)
{
    size_t length = strnlen(text, sizeof identity->name);
    if (length == 0 || length == sizeof identity->name) {
        return -1;
    }
    if (strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") != length) {
        return -1;
    }
    memcpy(identity->name, text, length + 1);
    identity->role = role;
    return 0;
}

int mr_identity_parse(struct mr_identity *identity, const char *uri)
{
    const char *text;
    int status = -1;
    memset(identity, 0, sizeof *identity);
    if ((text = after(uri, device_prefix)) != NULL) {
        status = parse_device(identity, text);
    } else if ((text = after(uri, hub_prefix)) != NULL) {
        status = parse_hub(identity, text);
    } else if ((text = after(uri, operator_prefix)) != NULL) {
        status = parse_name(identity, MR_ROLE_OPERATOR, text);
    } else if ((text = after(uri, reader_prefix)) != NULL) {
        status = parse_name(identity, MR_ROLE_READER, text);
    }
    if (status != 0) {
        memset(identity, 0, sizeof *identity); /* MR_ROLE_NONE */
    }
    return status;
}

void mr_identity_format(char *uri, const struct mr_identity *identity)
{
    char hex[2 * MR_CLIENT_ID_BYTES + 1];
    int length = -1;
    switch (identity->role) {
    case MR_ROLE_DEVICE:
        mr_hex_encode(hex, identity->client_id, MR_CLIENT_ID_BYTES);
        length = snprintf(uri, MR_IDENTITY_URI_MAX, "%s%s", device_prefix, hex);
        break;
    case MR_ROLE_HUB:
        length = snprintf(uri, MR_IDENTITY_URI_MAX, "%s%u", hub_prefix, identity->hub_index);
        break;
    case MR_ROLE_OPERATOR:
        length = snprintf(uri, MR_IDENTITY_URI_MAX, "%s%s", operator_prefix, identity->name);
        break;
    case MR_ROLE_READER:
        length = snprintf(uri, MR_IDENTITY_URI_MAX, "%s%s", reader_prefix, identity->name);
        break;
    case MR_ROLE_NONE:
        break;
    }
    MR_ASSERT(length > 0 && length < MR_IDENTITY_URI_MAX);
}
