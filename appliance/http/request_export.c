/* request_export.c - a secret that the connection's two ends alone know, from TLS's exporter. */
#include <string.h>

#include "appliance/http/server_internal.h"

/* Of the same label the exporter gives the same every time, for as many instructions as all the
 * rest of a grant. */
int mr_request_export(const struct mr_request *request, const char *label,
                      uint8_t secret[MR_CONNECTION_SECRET_BYTES])
{
    struct mr_connection *connection = request->connection;
    if (!connection) {
        return -1;
    }
    if (connection->exported_label && strcmp(connection->exported_label, label) != 0) {
        mr_away_take_back(connection);
        return mr_tls_export(connection->ssl, label, secret); /* of one alone it is kept */
    }
    if (!connection->exported_label) {
        mr_away_take_back(connection);
        if (mr_tls_export(connection->ssl, label, connection->exported) != 0) {
            return -1;
        }
        connection->exported_label = label;
    }
    memcpy(secret, connection->exported, MR_CONNECTION_SECRET_BYTES);
    return 0;
}
