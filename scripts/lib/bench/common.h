/* What the two measuring programs share: time, sockets, and how an event carries the moment it was sent. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* "@t" and so many digits: nanoseconds of CLOCK_MONOTONIC at which an event was written; zeros where nobody measures. */
#define STAMP "@t"
#define STAMP_DIGITS 19

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static inline void *must(void *p) {
  if (p == NULL) {
    fputs("out of memory\n", stderr);
    exit(1);
  }
  return p;
}

static inline void die(const char *what) {
  perror(what);
  exit(1);
}

/* As many open files as the system allows. */
static inline void raise_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

static inline void no_delay(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static inline struct sockaddr_in loopback(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/* Waits until `due` (0: for ever) or for events. */
static inline int wait_until(int epoll, struct epoll_event *events, int most, uint64_t due) {
  if (due == 0) return epoll_wait(epoll, events, most, -1);
  uint64_t now = now_ns();
  uint64_t left = due > now ? due - now : 0;
  struct timespec timeout = {(time_t)(left / 1000000000ull), (long)(left % 1000000000ull)};
  return epoll_pwait2(epoll, events, most, &timeout, NULL);
}

#endif
