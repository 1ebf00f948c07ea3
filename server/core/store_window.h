/* store_window.h -- the store of ephemeral rooms: the latest entries of each, in memory and nowhere
 * else. It ends with the relay.
 *
 * The same functions as every store, those of rooms, members and messages; the others are NULL.
 * What members and rooms are is the core's memory alone, so their rows are not kept here. An
 * author's last entry stays for as long as its room, however old it is: chains never lose their
 * end. Joins, leaves and invitations stay too, for without them nobody is a member; their number
 * and bytes are bounded (ROSTER_ROWS_MAX, SEATS_BYTES), and what all rooms have together is
 * (EPHEMERAL_BYTES). */
#ifndef SERVER_CORE_STORE_WINDOW_H
#define SERVER_CORE_STORE_WINDOW_H

#include "server/core/store.h"

extern const struct store_ops store_window;

void *store_window_new(void); /* NULL: no memory */
/* The first number that is still there: 1 while nothing was dropped, and of a room without any. */
uint64_t store_window_first(const void *db, const struct room_id *room);
size_t store_window_bytes(const void *db); /* of all rooms, about */
/* Whether joins and invitations must end here; leaves may come. Stays that are over and on which
 * nobody else's rests are forgotten first. */
bool store_window_full(void *db, const struct room_id *room);
void store_window_drop(void *db, const struct room_id *room); /* the room is gone */

#endif
