/* link_priv.h -- what a protocol gives to link.c. Included by the files of common/link alone. */
#ifndef COMMON_LINK_LINK_PRIV_H
#define COMMON_LINK_LINK_PRIV_H

#include "common/link/link.h"

/* One protocol. `ready` is what ready_new made, `end` what open made. */
struct link_proto {
    const struct link_row *rows;
    size_t rows_n;
    size_t after;     /* the last rows, told behind the relay's verdict: of the first messages */
    struct str first; /* what every client's first bytes are; see link_tell */
    const struct drive_proto *drive; /* drive.h; NULL: a protocol of its own */
    void *(*ready_new)(const struct link_proto *self, enum role role, const struct link_conf *conf,
                       struct err *e);
    void (*ready_free)(void *ready);
    void *(*open)(void *ready, struct err *e); /* keeps ready alive for itself */
    void (*free)(void *end);
    int (*feed)(void *end, const uint8_t *in, size_t n) MUST_USE;
    int (*eof)(void *end) MUST_USE;
    struct span (*out)(void *end);
    void (*sent)(void *end, size_t n);
    size_t (*waiting)(const void *end); /* bytes that out would give */
    void (*rest)(void *end);
    int (*send)(void *end, const uint8_t *msg, size_t n) MUST_USE;
    void (*lend)(void *end, struct buf *block); /* both may be NULL: it uses its own memory */
    void (*reclaim)(void *end, struct buf *block);
    int (*rekey)(void *end) MUST_USE;
    void (*close)(void *end);
    bool (*step)(void *end, struct link_step *s); /* the next step; link.c numbers and names it */
    unsigned (*total)(const void *end);           /* steps to expect */
    struct span (*take)(void *end);               /* opened bytes, once */
    bool (*done)(const void *end);                /* our side's handshake is over, none failed */
    bool (*said)(const void *end);    /* client: all is said, the relay's last word is missing */
    uint64_t (*now)(const void *end); /* microseconds since open */
    bool (*closed)(const void *end);  /* the peer said that it closed */
    const struct err *(*error)(const void *end);
    void (*info)(const void *end, struct link_info *out);
    int (*exporter)(const void *end, const char *label, struct key *out) MUST_USE;
};

extern const struct link_proto link_proto_tls, link_proto_ecdhe, link_proto_cianr,
    link_proto_sovereign, link_proto_classic, link_proto_classic_file;

#endif
