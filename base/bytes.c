#include "base/bytes.h"

static const char hex_digits[] = "0123456789abcdef";

void mr_hex_encode(char *hex, const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        hex[2 * i] = hex_digits[data[i] >> 4];
        hex[2 * i + 1] = hex_digits[data[i] & 15];
    }
    hex[2 * bytes] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

int mr_hex_decode(uint8_t *data, size_t bytes, const char *hex)
{
    for (size_t i = 0; i < bytes; i++) {
        int high = hex_value(hex[2 * i]);
        if (high < 0) { /* also the NUL of a short text: nothing beyond it is read */
            return -1;
        }
        int low = hex_value(hex[2 * i + 1]);
        if (low < 0) {
            return -1;
        }
        data[i] = (uint8_t)(high << 4 | low);
    }
    return hex[2 * bytes] == '\0' ? 0 : -1;
}
