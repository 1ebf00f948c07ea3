/* notify.h -- tells the service manager, when there is one, how far we are (sd_notify(3)). */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

void notify(const char *state); /* "READY=1"; nothing happens without $NOTIFY_SOCKET */

#endif
