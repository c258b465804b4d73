#include "transport/h2_message.h"

#include <stdlib.h>

void mr_h2_response_fini(struct mr_h2_response *response)
{
    free(response->body);
    *response = (struct mr_h2_response){0};
}
