/* conn.h -- the loop's side of a connection; load.h has the rest. Included by load.c and conn.c. */
#ifndef BENCH_LOAD_CONN_H
#define BENCH_LOAD_CONN_H

#include "tests/bench/load/load.h"

void conn_event(struct conn *c, uint32_t events);

#endif
