/* classic.h -- the relay's side of the link `classic`: guests of the one room `#classic`.
 *
 * They have no account and no session: nothing of theirs is signed, stored or numbered, and nothing
 * of a member ever reaches them. What one says goes, cleaned and behind his address, to the others;
 * a guest who says much waits in his own socket, one who says nothing is sent away. They are
 * counted by a gate of their own. On the loop of the connection. */
#ifndef SERVER_CLASSIC_H
#define SERVER_CLASSIC_H

#include "server/conn.h"

void classic_enter(struct conn *c);                  /* its link stands; it may end here */
void classic_said(struct conn *c, struct span text); /* may hold it: then no more is taken */
void classic_tick(struct conn *c);                   /* each turn: he may say more */
void classic_leave(struct conn *c);                  /* it ends; nothing for who is no guest */

#endif
