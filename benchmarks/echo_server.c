/* A model that says what it hears, over the native protocol: the cheapest other end that a load of many calls can have.
 *
 *   echo_server                prints its URL, and serves until it is told to stop
 *
 * One thread, epoll, one read and one write for what is there. It knows of the protocol what an echo needs: the handshake,
 * hello, open, close, ping, and audio, which goes back as it came with the request number 1. Credit is given once, for days.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 1 << 22, EVENTS = 256, PIECE = 1 << 18, HEADER = 24 };

typedef struct { int fd, open; size_t in_size, in_room, out_size, out_room; uint8_t *in, *out; } Peer;

/* --- SHA-1 (RFC 3174) and base64, for the handshake alone --- */

static uint32_t rol(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void sha1(const uint8_t *text, size_t size, uint8_t out[20]) {
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t data[192] = {0};
    size_t whole = (size + 9 + 63) / 64 * 64;
    memcpy(data, text, size);
    data[size] = 0x80;
    for (int i = 0; i < 8; i++) data[whole - 1 - i] = (uint8_t)((uint64_t)size * 8 >> 8 * i);
    for (size_t at = 0; at < whole; at += 64) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 16; i++) w[i] = (uint32_t)data[at + 4 * i] << 24 | data[at + 4 * i + 1] << 16 | data[at + 4 * i + 2] << 8 | data[at + 4 * i + 3];
        for (int i = 16; i < 80; i++) w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        for (int i = 0; i < 80; i++) {
            uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
            uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
            uint32_t t = rol(a, 5) + f + e + k + w[i];
            e = d; d = c; c = rol(b, 30); b = a; a = t;
        }
        h[0] += a; h[1] += b; h[2] += c; h[3] += d; h[4] += e;
    }
    for (int i = 0; i < 20; i++) out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const uint8_t *in, int size, char *out) {
    static const char *letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)in[i] << 16 | (i + 1 < size ? in[i + 1] << 8 : 0) | (i + 2 < size ? in[i + 2] : 0);
        *out++ = letters[three >> 18]; *out++ = letters[three >> 12 & 63];
        *out++ = i + 1 < size ? letters[three >> 6 & 63] : '='; *out++ = i + 2 < size ? letters[three & 63] : '=';
    }
    *out = 0;
}

/* --- one connection --- */

static uint8_t *reserve(Peer *peer, size_t size) {
    while (peer->out_size + size > peer->out_room) {
        peer->out_room = peer->out_room ? 2 * peer->out_room : 4096;
        peer->out = realloc(peer->out, peer->out_room);
        if (!peer->out || peer->out_room > ROOM) exit(3);
    }
    return peer->out + peer->out_size;
}

static void put_frame(Peer *peer, uint8_t first, const uint8_t *payload, size_t size) {
    uint8_t *at = reserve(peer, size + 10);
    size_t head = size < 126 ? 2 : 4;
    at[0] = first;
    at[1] = size < 126 ? (uint8_t)size : 126;
    if (head == 4) at[2] = (uint8_t)(size >> 8), at[3] = (uint8_t)size;
    memcpy(at + head, payload, size);
    peer->out_size += head + size;
}

static void say(Peer *peer, const char *text) { put_frame(peer, 0x81, (const uint8_t *)text, strlen(text)); }

static void on_text(Peer *peer, const char *text) {
    char answer[256];
    const char *named = strstr(text, "\"stream\":");
    unsigned long stream = named ? strtoul(named + 9, NULL, 10) : 0;
    if (strstr(text, "\"type\":\"open\"")) {
        snprintf(answer, sizeof answer, "{\"type\":\"opened\",\"stream\":%lu,\"model\":{\"name\":\"echo\",\"version\":\"1\"},\"credit\":1125899906842624}", stream);
        say(peer, answer);
    } else if (strstr(text, "\"type\":\"close\"")) {
        snprintf(answer, sizeof answer, "{\"type\":\"closed\",\"stream\":%lu}", stream);
        say(peer, answer);
    }
}

static int handshake(Peer *peer) {
    static const char *guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char head[4096], key[128], accept[64];
    uint8_t hash[20];
    size_t size = peer->in_size < sizeof head - 1 ? peer->in_size : sizeof head - 1;
    memcpy(head, peer->in, size);
    head[size] = 0;
    char *end = strstr(head, "\r\n\r\n"), *at = strcasestr(head, "\r\nSec-WebSocket-Key:");
    if (!end) return 0;
    if (!at || sscanf(at + 20, " %60s", key) != 1) return -1;
    strcat(key, guid);
    sha1((uint8_t *)key, strlen(key), hash);
    base64(hash, 20, accept);
    peer->out_size += sprintf((char *)reserve(peer, 512),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
        "Sec-WebSocket-Protocol: linecard.plug.v1\r\n\r\n", accept);
    say(peer, "{\"type\":\"hello\",\"protocol\":1,\"server\":{\"name\":\"echo\",\"version\":\"1\"},\"roles\":{\"realtime\":{\"rates\":[8000,16000]}}}");
    peer->open = 1;
    return (int)(end + 4 - head);
}

/* Bytes of one whole frame; 0: more must come, -1: it is over. */
static long frame(Peer *peer, uint8_t *at, size_t size) {
    size_t head = 2, payload;
    uint8_t opcode, mask[8];
    if (size < 2) return 0;
    payload = at[1] & 127;
    head = payload == 126 ? 4 : 2;
    if (payload == 127 || !(at[1] & 128)) return -1;
    if (size < head + 4) return 0;
    if (head == 4) payload = (size_t)at[2] << 8 | at[3];
    if (size < head + 4 + payload) return 0;
    opcode = at[0] & 15;
    memcpy(mask, at + head, 4);
    memcpy(mask + 4, mask, 4);
    uint8_t *body = at + head + 4;
    uint64_t wide, word;
    size_t i = 0;
    memcpy(&wide, mask, 8);
    for (; i + 8 <= payload; i += 8) { memcpy(&word, body + i, 8); word ^= wide; memcpy(body + i, &word, 8); }
    for (; i < payload; i++) body[i] ^= mask[i & 3];
    if (opcode == 2 && payload >= HEADER) {
        body[19] = 1;
        put_frame(peer, 0x82, body, payload);
    } else if (opcode == 1) {
        char text[4096];
        size_t told = payload < sizeof text - 1 ? payload : sizeof text - 1;
        memcpy(text, body, told);
        text[told] = 0;
        on_text(peer, text);
    } else if (opcode == 9) {
        put_frame(peer, 0x8A, body, payload);
    } else if (opcode == 8) {
        put_frame(peer, 0x88, body, payload);
        return -1;
    }
    return (long)(head + 4 + payload);
}

static int flush(Peer *peer) {
    ssize_t done = peer->out_size ? send(peer->fd, peer->out, peer->out_size, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    if (done < 0) return errno == EAGAIN ? 1 : 0;
    memmove(peer->out, peer->out + done, peer->out_size - done);
    peer->out_size -= done;
    return 1;
}

static int serve(Peer *peer) {
    size_t here = 0;
    long step = 1;
    if (peer->in_room - peer->in_size < PIECE / 64) {
        peer->in_room = peer->in_room < PIECE ? PIECE / 16 + 2 * peer->in_room : peer->in_room + PIECE;
        peer->in = realloc(peer->in, peer->in_room);
        if (!peer->in) exit(3);
    }
    ssize_t got = recv(peer->fd, peer->in + peer->in_size, peer->in_room - peer->in_size, MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return 0;
    peer->in_size += got;
    if (!peer->open) here = (step = handshake(peer)) > 0 ? (size_t)step : 0;
    while (step > 0 && here < peer->in_size) {
        step = frame(peer, peer->in + here, peer->in_size - here);
        if (step > 0) here += step;
    }
    memmove(peer->in, peer->in + here, peer->in_size - here);
    peer->in_size -= here;
    return flush(peer) && step >= 0;
}

static void drop(Peer *peer) {
    close(peer->fd);
    free(peer->in);
    free(peer->out);
    free(peer);
}

int main(void) {
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof local;
    struct rlimit files = {65536, 65536};
    int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0), on = 1;
    setrlimit(RLIMIT_NOFILE, &files);
    if (bind(listener, (void *)&local, sizeof local) || listen(listener, 4096)) { perror("bind"); return 1; }
    getsockname(listener, (void *)&local, &size);
    printf("ws://127.0.0.1:%d/\n", ntohs(local.sin_port));
    fflush(stdout);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, ready[EVENTS];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(poll, ready, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            Peer *peer = ready[i].data.ptr;
            if (!peer) {
                int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0 || !(peer = calloc(1, sizeof *peer))) continue;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                peer->fd = fd;
                event.data.ptr = peer;
                epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
            } else if (!serve(peer)) {
                drop(peer);
            }
        }
    }
}
