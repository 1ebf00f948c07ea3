/* drivers.h -- one per protocol, each in its file. */
#ifndef BENCH_LOAD_DRIVERS_H
#define BENCH_LOAD_DRIVERS_H

#include "tests/bench/load/load.h"

extern const struct driver driver_countersign; /* docs/protocol.md */
extern const struct driver driver_classic;     /* docs/protocol.md 10.5 */
extern const struct driver driver_raw;         /* tests/bench/raw.h */
extern const struct driver driver_irc;         /* RFC 2812 */
extern const struct driver driver_mqtt;        /* MQTT 3.1.1, QoS 0 */
extern const struct driver driver_nats;        /* docs.nats.io, client protocol */

#endif
