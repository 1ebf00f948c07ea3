/* modes.h -- what is measured, each in its file: connections are made, figures are printed. -1: the
 * reason is in l->err. */
#ifndef BENCH_LOAD_MODES_H
#define BENCH_LOAD_MODES_H

#include "tests/bench/load/load.h"

int mode_fanout(struct load *l) MUST_USE; /* CPU and bytes of a delivery, latency, commits */
int mode_shakes(struct load *l) MUST_USE; /* full handshakes, one after the other */
int mode_idle(struct load *l) MUST_USE;   /* resident memory of connections that say nothing */
int mode_half(struct load *l) MUST_USE;   /* handshakes that do not end */
int mode_storm(struct load *l) MUST_USE;  /* all are cut and come back at once */

#endif
