/* Who speaks what: a line for each protocol. */
#include <string.h>

#include "tests/bench/load/drivers.h"

static const struct driver *const drivers[] = {
    &driver_countersign, &driver_classic, &driver_raw, &driver_irc, &driver_mqtt, &driver_nats,
};

const struct driver *driver_find(const char *name)
{
    for (size_t i = 0; i < COUNT(drivers); i++)
        if (strcmp(drivers[i]->name, name) == 0)
            return drivers[i];
    return NULL;
}
