/* Many WebSocket subscribers in one light process: notes when each of them got each event.
 *
 *   receiver HOST PORT CONNECTIONS EVENTS OUTFILE < script
 *
 * The script has four lines: the request target of the upgrade, the text message to send once connected (may be
 * empty), a text that the message telling "subscribed" contains (empty: connected is enough), and the text after
 * which an event's number (0 .. EVENTS-1) stands in a message.
 *
 * Prints "ready" when every connection is subscribed. Ends when every connection has every event, or when stdin
 * closes. OUTFILE then holds EVENTS x CONNECTIONS int64: the CLOCK_MONOTONIC nanoseconds of the arrival, 0 for never.
 * Prints "duplicates N closed N" last.
 *
 * It reads frames without unpacking their JSON, so that what is measured is the server and not this client. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct Connection {
  int fd;
  bool upgraded;
  bool subscribed;
  char *buffer;
  size_t size;
  size_t capacity;
};

static struct Connection *connections;
static int connection_count;
static long event_count;
static int64_t *arrivals;
static long remaining;
static long duplicates;
static int subscribed_count;
static int closed_count;
static char *lines[4]; /* target, hello, ready, mark */

static void Fail(const char *what) {
  fprintf(stderr, "receiver: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t Now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void SendAll(int fd, const char *data, size_t size) {
  while (size > 0) {
    const ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) return; /* closed: the read side notices */
    data += n;
    size -= (size_t)n;
  }
}

/* Sends one masked frame; the mask is zero, which leaves the payload as it is. */
static void SendFrame(int fd, int opcode, const char *data, size_t size) {
  unsigned char head[14];
  size_t n = 0;
  head[n++] = (unsigned char)(0x80 | opcode);
  if (size < 126) {
    head[n++] = (unsigned char)(0x80 | size);
  } else {
    head[n++] = 0x80 | 126;
    head[n++] = (unsigned char)(size >> 8);
    head[n++] = (unsigned char)size;
  }
  memset(head + n, 0, 4);
  n += 4;
  char frame[sizeof(head) + 65536];
  if (size > 65535) size = 65535;
  memcpy(frame, head, n);
  memcpy(frame + n, data, size);
  SendAll(fd, frame, n + size);
}

static void Subscribed(struct Connection *c) {
  if (c->subscribed) return;
  c->subscribed = true;
  if (++subscribed_count < connection_count) return;
  printf("ready\n");
  fflush(stdout);
}

static void OnMessage(struct Connection *c, const char *data, size_t size, int64_t now) {
  if (!c->subscribed && lines[2][0] != 0 && memmem(data, size, lines[2], strlen(lines[2])) != NULL) Subscribed(c);
  const size_t mark_size = strlen(lines[3]);
  const char *end = data + size;
  const char *p = data;
  while ((p = memmem(p, (size_t)(end - p), lines[3], mark_size)) != NULL) {
    p += mark_size;
    long number = 0;
    while (p < end && *p >= '0' && *p <= '9') number = number * 10 + (*p++ - '0');
    if (number >= event_count) continue;
    int64_t *arrival = &arrivals[number * connection_count + (c - connections)];
    if (*arrival != 0) {
      ++duplicates;
      continue;
    }
    *arrival = now;
    --remaining;
  }
}

/* Takes the whole frames out of the buffer; returns how many bytes they had. */
static size_t TakeFrames(struct Connection *c, int64_t now) {
  size_t at = 0;
  for (;;) {
    const unsigned char *p = (const unsigned char *)c->buffer + at;
    const size_t left = c->size - at;
    if (left < 2) return at;
    size_t head = 2;
    uint64_t length = p[1] & 0x7F;
    if (length >= 126) {
      const size_t bytes = length == 126 ? 2 : 8;
      if (left < 2 + bytes) return at;
      length = 0;
      for (size_t i = 0; i < bytes; ++i) length = length << 8 | p[2 + i];
      head += bytes;
    }
    if (left < head + length) return at;
    const char *payload = (const char *)p + head;
    const int opcode = p[0] & 0x0F;
    if (opcode == 9) SendFrame(c->fd, 10, payload, length);
    if (opcode <= 2) OnMessage(c, payload, length, now);
    at += head + length;
  }
}

static bool TakeUpgrade(struct Connection *c, size_t *used) {
  const char *end = memmem(c->buffer, c->size, "\r\n\r\n", 4);
  if (end == NULL) return false;
  if (c->size < 12 || memcmp(c->buffer + 9, "101", 3) != 0) {
    fprintf(stderr, "receiver: upgrade refused: %.*s\n", (int)(end - c->buffer), c->buffer);
    exit(1);
  }
  *used = (size_t)(end - c->buffer) + 4;
  c->upgraded = true;
  if (lines[1][0] != 0) SendFrame(c->fd, 1, lines[1], strlen(lines[1]));
  if (lines[2][0] == 0) Subscribed(c);
  return true;
}

static void OnReadable(struct Connection *c) {
  for (;;) {
    if (c->capacity - c->size < 16384) {
      c->capacity = c->capacity == 0 ? 32768 : c->capacity * 2;
      c->buffer = realloc(c->buffer, c->capacity);
      if (c->buffer == NULL) Fail("memory");
    }
    const size_t room = c->capacity - c->size;
    const ssize_t n = recv(c->fd, c->buffer + c->size, room, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
      close(c->fd);
      ++closed_count;
      return;
    }
    c->size += (size_t)n;
    size_t used = 0;
    if (c->upgraded || TakeUpgrade(c, &used)) {
      if (used > 0) {
        memmove(c->buffer, c->buffer + used, c->size - used);
        c->size -= used;
      }
      used = TakeFrames(c, Now());
      if (used > 0) {
        memmove(c->buffer, c->buffer + used, c->size - used);
        c->size -= used;
      }
    }
    if ((size_t)n < room) return; /* nothing more for now: saves a call that says so */
  }
}

static void Connect(struct Connection *c, const char *host, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) Fail(host);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0) Fail("connect");
  const int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  char request[8192];
  const int n = snprintf(request, sizeof(request),
                         "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                         lines[0], host, port);
  SendAll(c->fd, request, (size_t)n);
}

static void ReadScript(void) {
  for (int i = 0; i < 4; ++i) {
    size_t capacity = 0;
    const ssize_t n = getline(&lines[i], &capacity, stdin);
    if (n < 0) Fail("script");
    if (n > 0 && lines[i][n - 1] == '\n') lines[i][n - 1] = 0;
  }
}

static void WriteArrivals(const char *path) {
  FILE *out = fopen(path, "wb");
  const size_t n = (size_t)event_count * (size_t)connection_count;
  if (out == NULL || fwrite(arrivals, sizeof(int64_t), n, out) != n || fclose(out) != 0) Fail(path);
  printf("duplicates %ld closed %d\n", duplicates, closed_count);
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: receiver HOST PORT CONNECTIONS EVENTS OUTFILE < script\n");
    return 2;
  }
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  ReadScript();
  connection_count = atoi(argv[3]);
  event_count = atol(argv[4]);
  remaining = event_count * connection_count;
  connections = calloc((size_t)connection_count, sizeof(*connections));
  arrivals = calloc((size_t)remaining, sizeof(*arrivals));
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  if (connections == NULL || arrivals == NULL || poll < 0) Fail("start");
  struct epoll_event watch = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(poll, EPOLL_CTL_ADD, STDIN_FILENO, &watch);
  struct epoll_event ready[256];
  int opened = 0;
  while (remaining > 0 && closed_count < connection_count) {
    /* A few at a time, so that no listen queue overflows. */
    for (int burst = 0; burst < 32 && opened < connection_count; ++burst, ++opened) {
      struct Connection *c = &connections[opened];
      Connect(c, argv[1], atoi(argv[2]));
      watch.data.ptr = c;
      epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &watch);
    }
    const int n = epoll_wait(poll, ready, 256, opened < connection_count ? 5 : -1);
    for (int i = 0; i < n; ++i) {
      if (ready[i].data.ptr != NULL) {
        OnReadable(ready[i].data.ptr);
        continue;
      }
      char byte;
      if (read(STDIN_FILENO, &byte, 1) == 0) goto done;
    }
  }
done:
  WriteArrivals(argv[5]);
  return 0;
}
