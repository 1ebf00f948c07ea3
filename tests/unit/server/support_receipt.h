/* support_receipt.h -- receipts as an honest client makes them, and their way to the relay. */
#ifndef TESTS_UNIT_SERVER_SUPPORT_RECEIPT_H
#define TESTS_UNIT_SERVER_SUPPORT_RECEIPT_H

#include "common/evidence/receipt.h"
#include "tests/unit/server/support_relay.h"

/* Of these entries, as the client reads them; what it asks the relay for is answered. */
struct receipt receipt_honest(const struct room_id *room, struct client *c, uint64_t first,
                              uint64_t last);
struct receipt_seal receipt_own_seal(const struct receipt *x);

/* A request and what it borrows. */
struct asked {
    char text[RECEIPT_MAX + 1], seal[RECEIPT_SEAL_MAX + 1];
    uint8_t sig[SIG_MAX];
    struct f_seal f;
};

void asked_make(struct asked *q, uint64_t id, struct client *c, const struct receipt *x,
                const struct receipt_seal *seal);

#endif
