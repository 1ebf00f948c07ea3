/* frame.h -- u32 big-endian length, then that many bytes of JSON; cut out of a stream of bytes. */
#ifndef COMMON_CHAT_FRAME_H
#define COMMON_CHAT_FRAME_H

#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

/* Reassembly. Bytes come in any portions; frames go out one by one. */
struct frames {
    struct buf in;
    size_t max;  /* bound of one frame */
    size_t gone; /* bytes at the front that the caller has seen as a frame */
    bool broken;
};

void frames_init(struct frames *f, size_t max); /* FRAME_MAX_EARLY until login, then FRAME_MAX */
void frames_free(struct frames *f);             /* wipes */
void frames_bound(struct frames *f, size_t max);

/* Takes any bytes up to the size of the biggest frame. Call frames_next until it gives 0 after
 * each. -1 and e: there is no room (frames were not taken out), or frames_next had failed. Ends the
 * life of the span of frames_next. */
int frames_feed(struct frames *f, struct span in, struct err *e) MUST_USE;
/* 1: *out is the JSON of one frame, valid until the next call. 0: more bytes are needed. -1 and e:
 * the length in front is 0 or above the bound; for good. */
int frames_next(struct frames *f, struct span *out, struct err *e) MUST_USE;
size_t frames_waiting(const struct frames *f); /* bytes of a frame begun but not complete */

/* Writing: frame_begin leaves the length blank and gives a mark, frame_end fills it in. -1: b is
 * full or the frame is empty or longer than FRAME_MAX; b is then as it was at frame_begin. */
int frame_begin(struct buf *b, size_t *mark) MUST_USE;
int frame_end(struct buf *b, size_t mark) MUST_USE;

#endif
