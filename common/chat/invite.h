/* invite.h -- the line that a new member receives: where the relay is, its root, a one-time token.
 *
 *   countersign://HOST:PORT/#1.<root SHA-256>.<token>.<CRC-24>      (docs/protocol.md 8)
 *
 * The checksum is tested before any packet is sent: a slip of the mouse is told from an attack. */
#ifndef COMMON_CHAT_INVITE_H
#define COMMON_CHAT_INVITE_H

#include "common/crypto/crypto.h"
#include "common/util/bytes.h"
#include "common/util/err.h"
#include "common/util/limits.h"

struct invite {
    char host[RELAY_NAME_MAX + 1]; /* lower-case DNS name, IPv4, or IPv6 without its brackets */
    uint16_t port;
    struct hash root;         /* SHA-256 of the root certificate */
    uint8_t token[TOKEN_LEN]; /* secret: wipe the struct after use */
};

/* What is wrong with a line: id, sentence. */
#define INVITE_FAULTS(X)                                                                           \
    X(INVITE_OK, "in order")                                                                       \
    X(INVITE_EMPTY, "there is no invite")                                                          \
    X(INVITE_SCHEME, "an invite begins with countersign://")                                       \
    X(INVITE_LONG, "the invite is too long")                                                       \
    X(INVITE_SHORT, "the invite is cut off: its end is missing")                                   \
    X(INVITE_BYTES, "the invite holds a character that no invite has")                             \
    X(INVITE_CHECKSUM, "the checksum is wrong: a character was changed or left out")               \
    X(INVITE_VERSION, "the invite needs another version of this program")                          \
    X(INVITE_HOST, "the host in the invite is not a name or address")                              \
    X(INVITE_PORT, "the port in the invite is not a number from 1 to 65535")                       \
    X(INVITE_ROOT, "the fingerprint in the invite is not one")                                     \
    X(INVITE_TOKEN, "the token in the invite is not one")

#define X(id, text) id,
enum invite_fault { INVITE_FAULTS(X) INVITE_FAULT_COUNT };
#undef X

const char *invite_fault_text(enum invite_fault f);

/* White space around the line is ignored. INVITE_OK, or the fault. */
enum invite_fault invite_take(struct invite *i, struct str line) MUST_USE;
/* -1 when host is none. */
int invite_put(char out[INVITE_MAX], const struct invite *i) MUST_USE;

/* A DNS name (letters, digits, inner hyphens; labels to 63), IPv4 or IPv6 without brackets. */
bool host_ok(struct str host);
uint32_t crc24(struct span s); /* RFC 9580 6.1.1 */

#endif
