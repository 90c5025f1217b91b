/* What the kernel alone takes for calls that are echoed: the gateway's system calls, and nothing between them.
 *
 *   floor CALLS PEER_PORT SECONDS      prints the port of each call, one per line, then microseconds per packet pair
 *
 * Every 5 ms one epoll_wait, a recvmmsg with the kernel's stamps for each socket that is ready, and a send for each.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 4096, BATCH = 8, BYTES = 172 };

static int64_t now(int clock) { struct timespec t; clock_gettime(clock, &t); return t.tv_sec * 1000000000LL + t.tv_nsec; }

static int opened(int peer) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    bind(fd, (void *)&address, sizeof address);
    getsockname(fd, (void *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    address.sin_port = htons(peer);
    connect(fd, (void *)&address, sizeof address);
    return fd;
}

static int receive(int fd) {
    static char data[BATCH][2048], control[BATCH][64];
    static struct sockaddr_storage from[BATCH];
    struct iovec parts[BATCH];
    struct mmsghdr messages[BATCH];
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){data[i], 2048};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &parts[i], .msg_iovlen = 1, .msg_control = control[i], .msg_controllen = 64};
    }
    return recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
}

int main(int argc, char **argv) {
    static struct epoll_event ready[CALLS];
    static char packet[BYTES] = {(char)0x80};
    int calls = argc > 3 ? atoi(argv[1]) : 0, set = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    for (int i = 0; i < calls && i < CALLS; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = opened(atoi(argv[2]))};
        epoll_ctl(set, EPOLL_CTL_ADD, event.data.fd, &event);
    }
    fflush(stdout);
    struct itimerspec tick = {{0, 5000000}, {0, 5000000}};
    timerfd_settime(timer, 0, &tick, NULL);
    int64_t pairs = 0, began = now(CLOCK_MONOTONIC), spent = 0, end = began + (int64_t)(atof(argv[3]) * 1e9);
    while (now(CLOCK_MONOTONIC) < end) {
        uint64_t passed;
        if (read(timer, &passed, sizeof passed) < 0) continue;
        if (!spent && now(CLOCK_MONOTONIC) > (began + end) / 2) spent = now(CLOCK_THREAD_CPUTIME_ID), pairs = 0;
        int count = epoll_wait(set, ready, CALLS, 0);
        for (int i = 0; i < count; i++) {
            int got = receive(ready[i].data.fd);
            pairs += got > 0 ? got : 0;
        }
        for (int i = 0; i < count; i++) send(ready[i].data.fd, packet, BYTES, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    printf("%.3f\n", (now(CLOCK_THREAD_CPUTIME_ID) - spent) / 1e3 / (pairs ? pairs : 1));
    return 0;
}
