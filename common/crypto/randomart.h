/* randomart.h -- a fingerprint as a picture: the drunken bishop, exactly as ssh-keygen draws it
 * (OpenSSH sshkey.c, fingerprint_randomart). For recognition; comparing digits is the proof. */
#ifndef COMMON_CRYPTO_RANDOMART_H
#define COMMON_CRYPTO_RANDOMART_H

#include "common/crypto/crypto.h"

enum { ART_ROWS = 11, ART_COLS = 19 };

struct randomart {
    char row[ART_ROWS][ART_COLS + 1]; /* ASCII, NUL-terminated, frame included */
};

/* key: what stands in the upper frame, "RSA 2048"; cut when too long for it. */
void randomart(const struct hash *h, const char *key, struct randomart *out);

#endif
