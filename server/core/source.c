#include "server/core/source.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

void source_net(char out[SOURCE_MAX + 1], const char *address)
{
    char net[INET6_ADDRSTRLEN];
    struct in6_addr six;

    if (inet_pton(AF_INET6, address, &six) != 1) {
        snprintf(out, SOURCE_MAX + 1, "%s", address);
        return;
    }
    memset(six.s6_addr + 8, 0, 8);
    if (inet_ntop(AF_INET6, &six, net, sizeof net) != NULL)
        snprintf(out, SOURCE_MAX + 1, "%s/64", net);
}
