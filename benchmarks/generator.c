/* RTP of many calls from one socket: cheap, and honest about its own lateness.
 *
 *   generator SECONDS WARM_UP OWN_PORT voice|pulse [LIBSRTP2 KEY] < ports
 *
 * A line of the ports is a port of 127.0.0.1 and the key (hexadecimal, or 0) of what comes from there; with a library and a key,
 * packets are SRTP (AES_CM_128_HMAC_SHA1_80).
 *
 * Every call sends 160 bytes of PCMU each 20 ms, spread over the 20 ms in steps of 1 ms: a voice that never stops. The first
 * bytes of each fifth payload carry call and sequence number in codes that G.711 decodes and encodes again without change, so
 * that what comes back through a gateway and a model that echoes is recognised, and its delay is that of the very packet.
 * Where samples are changed on the way (resampled), nothing is recognised: `pulse` sends silence with a click every half
 * second instead, and takes the loudest sample of what comes back; the filters' own delay is in the figure then. Stamps of
 * what comes are the kernel's. One line of JSON at the end; the warm-up, in whose first half the calls begin to talk one after
 * the other, does not count.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <math.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum { CALLS = 4096, SLOTS = 20, KEPT = 1024, BATCH = 64, MARK = 8, BYTES = 172, BINS = 200000, MARKED = 5, EVERY = 25 };

static struct { struct sockaddr_in to; uint16_t sequence; int64_t sent[KEPT], click; int heard; uint16_t last; int64_t base; void *seal, *open; } call[CALLS];
static uint8_t voice[160];
static int calls, by_port[65536], pulse;
static uint32_t delay[BINS], own[BINS], late[BINS];          /* histograms in steps of 10 us */
static int64_t sent_count, received, missing, echoed, foreign;

/* libsrtp 2, as its srtp.h has it. */
struct crypto { uint32_t cipher; int key, auth, auth_key, tag, services; };
struct policy { int type; uint32_t ssrc; struct crypto rtp, rtcp; const uint8_t *key; void *keys; unsigned long count; void *ekt; unsigned long window; int repeat; int *extensions; int extensions_count; void *next; };
static int (*srtp_init)(void), (*srtp_create)(void **, const struct policy *), (*srtp_profile)(struct crypto *, int), (*srtp_protect)(void *, void *, int *), (*srtp_unprotect)(void *, void *, int *);

static void load_srtp(const char *path) {
    void *library = dlopen(path, RTLD_NOW);
    if (!library) { fprintf(stderr, "%s\n", dlerror()); exit(1); }
    srtp_init = (int (*)(void))dlsym(library, "srtp_init");
    srtp_create = (int (*)(void **, const struct policy *))dlsym(library, "srtp_create");
    srtp_profile = (int (*)(struct crypto *, int))dlsym(library, "srtp_crypto_policy_set_from_profile_for_rtp");
    srtp_protect = (int (*)(void *, void *, int *))dlsym(library, "srtp_protect");
    srtp_unprotect = (int (*)(void *, void *, int *))dlsym(library, "srtp_unprotect");
    srtp_init();
}

static void *session(const char *hex, int inbound) {
    uint8_t key[32] = {0};
    void *made = NULL;
    struct policy policy = {.type = inbound ? 2 : 3, .key = key, .window = 128};
    for (int i = 0; i < 30; i++) sscanf(hex + 2 * i, "%2hhx", &key[i]);
    srtp_profile(&policy.rtp, 1); srtp_profile(&policy.rtcp, 1);
    if (srtp_create(&made, &policy)) { fprintf(stderr, "no SRTP session\n"); exit(1); }
    return made;
}

static int64_t now(int clock) { struct timespec t; clock_gettime(clock, &t); return t.tv_sec * 1000000000LL + t.tv_nsec; }
static void count(uint32_t *bins, int64_t ns) { int64_t i = ns / 10000; bins[i < 0 ? 0 : i >= BINS ? BINS - 1 : i]++; }

static double share(const uint32_t *bins, double part) {
    uint64_t total = 0, seen = 0;
    for (int i = 0; i < BINS; i++) total += bins[i];
    for (int i = 0; i < BINS; i++) { seen += bins[i]; if (total && seen >= part * total) return (i + 1) / 100.0; }
    return 0;
}

static void write_mark(uint8_t *at, int number, uint16_t sequence) {
    for (int i = 0; i < 4; i++) at[i] = 0x90 | (number >> 4 * i & 15), at[4 + i] = 0x90 | (sequence >> 4 * i & 15);
}

static int read_mark(const uint8_t *at, int *number, uint16_t *sequence) {
    *number = *sequence = 0;
    for (int i = 0; i < MARK; i++) if ((at[i] & 0xF0) != 0x90) return 0;
    for (int i = 0; i < 4; i++) *number |= (at[i] & 15) << 4 * i, *sequence |= (at[4 + i] & 15) << 4 * i;
    return *number < calls;
}

/* Where call i's mark lies in a payload, or -1: what works off a delay leaves periods out, and moves it. */
static int find_mark(int i, const uint8_t *payload, int size, uint16_t *sequence) {
    int number;
    for (int at = 0; at + MARK <= size; at++)
        if ((payload[at] & 0xF0) == 0x90 && read_mark(payload + at, &number, sequence) && number == i) return at;
    return -1;
}

/* Where the click lies in a packet, or -1. A code with its bits inverted grows with loudness, the sign apart. */
static int find_click(const uint8_t *payload, int size) {
    int best = 0x48, at = -1;
    for (int i = 0; i < size; i++) if ((~payload[i] & 0x7F) > best) best = ~payload[i] & 0x7F, at = i;
    return at;
}

static void heard_click(int i, const uint8_t *payload, int size, int64_t at) {
    int place = call[i].click ? find_click(payload, size) : -1;
    if (place < 0) return;
    echoed++;
    count(delay, at + place * 125000LL - call[i].click);
    call[i].click = 0;
}

static int send_batch(int fd, struct mmsghdr *messages, int n) {
    int done = n ? sendmmsg(fd, messages, n, 0) : 0;
    sent_count += done > 0 ? done : 0;
    return 0;
}

/* A voice of 100 Hz, two periods of it in a packet, in mu-law. */
static void make_voice(void) {
    for (int i = 0; i < BYTES - 12; i++) {
        double x = 2 * M_PI * i / 80, wave = 2500 * (sin(x) + .5 * sin(2 * x) + .3 * sin(3 * x));
        int level = (wave < 0 ? -wave : wave) / 4 + 33, exponent = 0;
        while (level >> (exponent + 6)) exponent++;
        voice[i] = ~((wave < 0 ? 0x80 : 0) | exponent << 4 | (level >> (exponent + 1) & 15));
    }
}

static void send_slot(int fd, int slot, uint32_t frame, double beginning) {
    static uint8_t packets[BATCH][BYTES + 16] __attribute__((aligned(8)));
    static struct iovec parts[BATCH];
    static struct mmsghdr messages[BATCH];
    int n = 0;
    int64_t at = now(CLOCK_REALTIME);
    for (int i = slot; i < calls; i += SLOTS) {
        uint8_t *p = packets[n];
        if (frame < beginning * i / calls) continue;
        int size = BYTES;
        uint16_t sequence = call[i].sequence++;
        uint32_t timestamp = htonl(frame * 160), ssrc = htonl(1000 + i);
        memcpy(p + 12, voice, BYTES - 12);
        p[0] = 0x80; p[1] = 0; p[2] = sequence >> 8; p[3] = sequence & 255;
        memcpy(p + 4, &timestamp, 4); memcpy(p + 8, &ssrc, 4);
        if (!pulse && (sequence + i) % MARKED == 0) write_mark(p + 12, i, sequence);
        if (pulse) memset(p + 12, 0xFF, BYTES - 12);
        if (pulse && (sequence + i) % EVERY == 0) memset(p + 12, 0x80, 4), call[i].click = at;
        call[i].sent[sequence % KEPT] = at;
        if (call[i].seal) srtp_protect(call[i].seal, p, &size);
        parts[n] = (struct iovec){p, size};
        messages[n].msg_hdr = (struct msghdr){.msg_name = &call[i].to, .msg_namelen = sizeof call[i].to, .msg_iov = &parts[n], .msg_iovlen = 1};
        if (++n == BATCH) n = send_batch(fd, messages, n), at = now(CLOCK_REALTIME);
    }
    send_batch(fd, messages, n);
}

/* How late a packet left: against the earliest of its talkspurt by the stream's own clock, its timestamps. */
static void lateness(int i, const uint8_t *p, int64_t at, int counts) {
    uint32_t timestamp;
    memcpy(&timestamp, p + 4, 4);
    int64_t begun = at - (int64_t)ntohl(timestamp) * 125000;
    if (p[1] & 0x80 || !call[i].heard || begun < call[i].base) call[i].base = begun;
    call[i].heard = 1;
    if (counts) count(late, begun - call[i].base);
}

static void heard(uint8_t *p, int size, int port, int64_t at, int counts) {
    int place, i = by_port[port] - 1;
    uint16_t sequence = p[2] << 8 | p[3], marked;
    if (i < 0 || size < 12) { foreign++; return; }
    if (call[i].open && srtp_unprotect(call[i].open, p, &size)) { foreign++; return; }
    if (!call[i].heard) call[i].last = sequence - 1;
    lateness(i, p, at, counts);
    if (!counts) call[i].last = sequence;
    else {
        received++;
        missing += (uint16_t)(sequence - call[i].last - 1);
        call[i].last = sequence;
        if (pulse) heard_click(i, p + 12, size - 12, at);
        else if ((place = find_mark(i, p + 12, size - 12, &marked)) >= 0) echoed++, count(delay, at + place * 125000LL - call[i].sent[marked % KEPT]);
    }
}

static void receive(int fd, int counts) {
    static uint8_t data[BATCH][2048] __attribute__((aligned(8))), control[BATCH][64];
    static struct sockaddr_in from[BATCH];
    struct iovec parts[BATCH];
    struct mmsghdr messages[BATCH];
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){data[i], 2048};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &parts[i], .msg_iovlen = 1, .msg_control = control[i], .msg_controllen = 64};
        }
        int n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++) {
            struct cmsghdr *c = CMSG_FIRSTHDR(&messages[i].msg_hdr);
            int64_t at = now(CLOCK_REALTIME);
            if (c && c->cmsg_type == SO_TIMESTAMPNS) { struct timespec *t = (void *)CMSG_DATA(c); at = t->tv_sec * 1000000000LL + t->tv_nsec; }
            heard(data[i], messages[i].msg_len, ntohs(from[i].sin_port), at, counts);
        }
        if (n < BATCH) return;
    }
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 10, warm_up = argc > 2 ? atof(argv[2]) : 1;
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(argc > 3 ? atoi(argv[3]) : 0), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char key[256];
    pulse = argc > 4 && !strcmp(argv[4], "pulse");
    if (argc > 6) load_srtp(argv[5]);
    int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 1 << 24, on = 1, port;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (bind(fd, (void *)&local, sizeof local)) { perror("bind"); return 1; }
    while (calls < CALLS && scanf("%d %255s", &port, key) == 2) {
        if (argc > 6) call[calls].seal = session(argv[6], 0), call[calls].open = session(key, 1);
        call[calls].to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        by_port[port & 65535] = ++calls;
    }
    make_voice();
    int64_t start = now(CLOCK_MONOTONIC) + 10000000;
    int64_t steps = (int64_t)((seconds + warm_up) * 1000), warm = (int64_t)(warm_up * 1000);
    for (int64_t step = 0; step < steps; step++) {
        int64_t due = start + step * 1000000;
        struct timespec until = {due / 1000000000, due % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        if (step >= warm) count(own, now(CLOCK_MONOTONIC) - due);
        if (step == warm) sent_count = 0;
        send_slot(fd, step % SLOTS, step / SLOTS, warm / 40.0);
        receive(fd, step >= warm);
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"calls\": %d, \"sent\": %ld, \"received\": %ld, \"missing\": %ld, \"echoed\": %ld, \"foreign\": %ld, "
           "\"delay_ms\": [%.2f, %.2f, %.2f], \"late_ms\": [%.2f, %.2f, %.2f], \"own_lateness_ms\": [%.2f, %.2f, %.2f], \"cpu_s\": %.3f}\n",
           calls, sent_count, received, missing, echoed, foreign, share(delay, .5), share(delay, .99), share(delay, 1),
           share(late, .5), share(late, .99), share(late, 1),
           share(own, .5), share(own, .99), share(own, 1),
           used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return 0;
}
