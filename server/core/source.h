/* source.h -- who is counted together: of an IPv6 address the /64, since whoever has one address in
 * it has them all; any other address alone. Pure. */
#ifndef SERVER_CORE_SOURCE_H
#define SERVER_CORE_SOURCE_H

enum { SOURCE_MAX = 63 }; /* an address without port, as text */

/* out: "2001:db8:1:2::/64" of an IPv6 address, any other text as it is. At most SOURCE_MAX bytes of
 * address are looked at. */
void source_net(char out[SOURCE_MAX + 1], const char *address);

#endif
