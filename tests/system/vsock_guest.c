// The guest's side of the tests of vsock with Linux's own driver: does what the words on its standard input say, one per line,
// and answers each with a line.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>
// clang-format off: it needs what <sys/socket.h> declares.
#include <linux/vm_sockets.h>
// clang-format on

enum { kStreams = 7000, kHostStreams = 7001, kPackets = 7002, kHostPackets = 7003, kMessage = 256 * 1024 };

static char message[kMessage + 1];

static struct sockaddr_vm address(unsigned cid, unsigned port) {
  struct sockaddr_vm a;
  memset(&a, 0, sizeof a);
  a.svm_family = AF_VSOCK;
  a.svm_cid = cid;
  a.svm_port = port;
  return a;
}

static int fail(const char* what) {
  printf("vsock: cannot %s: %s\n", what, strerror(errno));
  fflush(stdout);
  return -1;
}

static int listen_on(int type, unsigned port) {
  const int fd = socket(AF_VSOCK, type, 0);
  const struct sockaddr_vm a = address(VMADDR_CID_ANY, port);
  if (fd < 0 || bind(fd, (const struct sockaddr*)&a, sizeof a) != 0 || listen(fd, 4096) != 0) return fail("listen");
  return fd;
}

static int connect_to(int type, unsigned port) {
  const int fd = socket(AF_VSOCK, type, 0);
  const struct sockaddr_vm a = address(VMADDR_CID_HOST, port);
  if (fd < 0 || connect(fd, (const struct sockaddr*)&a, sizeof a) != 0) {
    const int error = errno;
    if (fd >= 0) close(fd);
    errno = error;
    return -1;
  }
  return fd;
}

static int transfer(int fd, void* bytes, size_t size, int writing) {
  for (size_t done = 0; done < size;) {
    char* at = (char*)bytes + done;
    const ssize_t n = writing ? send(fd, at, size - done, MSG_NOSIGNAL) : recv(fd, at, size - done, 0);
    if (n <= 0) return -1;
    done += (size_t)n;
  }
  return 0;
}

// `count` connections to the host and `count` from it, all open at once; on each a number goes out and comes back one higher.
static int many(int listener, int count) {
  int* fds = calloc((size_t)count * 2, sizeof(int));
  for (int i = 0; i < count; ++i) {
    if ((fds[i] = connect_to(SOCK_STREAM, kHostStreams)) < 0) return fail("connect");
  }
  for (int i = count; i < 2 * count; ++i) {
    if ((fds[i] = accept(listener, NULL, NULL)) < 0) return fail("accept");
  }
  for (int i = 0; i < 2 * count; ++i) {
    uint32_t number = (uint32_t)i;
    if (transfer(fds[i], &number, sizeof number, 1) != 0) return fail("send");
  }
  for (int i = 0; i < 2 * count; ++i) {
    uint32_t number = 0;
    if (transfer(fds[i], &number, sizeof number, 0) != 0) return fail("receive");
    if (number != (uint32_t)i + 1) {
      errno = EBADMSG;
      return fail("trust the answer");
    }
  }
  for (int i = 0; i < 2 * count; ++i) close(fds[i]);
  free(fds);
  printf("vsock: many done\n");
  return 0;
}

// Answers each message of the host with the same.
static int answer_messages(int listener) {
  const int fd = accept(listener, NULL, NULL);
  if (fd < 0) return fail("accept");
  unsigned count = 0;
  ssize_t n;
  while ((n = recv(fd, message, sizeof message, 0)) > 0) {
    if (send(fd, message, (size_t)n, MSG_NOSIGNAL | (count % 2 ? MSG_EOR : 0)) != n) return fail("send a message");
    ++count;
  }
  close(fd);
  printf("vsock: answered %u messages\n", count);
  return 0;
}

static int send_messages(void) {
  const int fd = connect_to(SOCK_SEQPACKET, kHostPackets);
  if (fd < 0) return fail("connect");
  static const size_t sizes[] = {1, 1000, 65536, kMessage, 5};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
    for (size_t k = 0; k < sizes[i]; ++k) message[k] = (char)(k * 31 + i);
    if (send(fd, message, sizes[i], MSG_NOSIGNAL) != (ssize_t)sizes[i]) return fail("send a message");
  }
  const char* too_long = send(fd, message, kMessage + 1, MSG_NOSIGNAL) < 0 ? strerrorname_np(errno) : "no error";
  close(fd);
  printf("vsock: sent messages, one more byte: %s\n", too_long);
  return 0;
}

// A connection that the transport's reset ends, and a listener that it does not.
static int wait_for_reset(int listener) {
  const int fd = connect_to(SOCK_STREAM, kHostStreams);
  if (fd < 0) return fail("connect");
  printf("vsock: waiting\n");
  fflush(stdout);
  char byte;
  const ssize_t n = recv(fd, &byte, 1, 0);
  printf("vsock: connection: %s\n", n < 0 ? strerrorname_np(errno) : n == 0 ? "end" : "data");
  fflush(stdout);
  close(fd);
  const int accepted = accept(listener, NULL, NULL);
  if (accepted < 0 || transfer(accepted, &byte, 1, 0) != 0) return fail("accept after the reset");
  close(accepted);
  const int again = connect_to(SOCK_STREAM, kHostStreams);
  if (again < 0) return fail("connect after the reset");
  close(again);
  printf("vsock: after it: both ways\n");
  return 0;
}

// Those that our own init loads first: "GROUP PATH" per line, in their order.
static void load_modules(void) {
  FILE* list = fopen("/lib/modules/adyton.order", "r");
  char group[64], path[256];
  while (list && fscanf(list, "%63s %255s", group, path) == 2) {
    if (strcmp(group, "base") != 0) continue;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) != 0) fail(path);
    close(fd);
  }
}

int main(void) {
  mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
  const int console = open("/dev/console", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) dup2(console, fd);
  struct termios plain;
  tcgetattr(0, &plain);
  plain.c_lflag &= ~(tcflag_t)ECHO;
  plain.c_oflag &= ~(tcflag_t)OPOST;
  tcsetattr(0, TCSANOW, &plain);
  load_modules();
  const struct rlimit files = {8192, 8192};
  setrlimit(RLIMIT_NOFILE, &files);
  const int streams = listen_on(SOCK_STREAM, kStreams);
  const int packets = listen_on(SOCK_SEQPACKET, kPackets);
  if (streams < 0 || packets < 0) return 1;
  printf("vsock: ready\n");
  fflush(stdout);
  char word[64];
  while (scanf("%63s", word) == 1) {
    int count = 0;
    if (strcmp(word, "many") == 0 && scanf("%d", &count) == 1) {
      many(streams, count);
    } else if (strcmp(word, "answer") == 0) {
      answer_messages(packets);
    } else if (strcmp(word, "send") == 0) {
      send_messages();
    } else if (strcmp(word, "reset") == 0) {
      wait_for_reset(streams);
    } else if (strcmp(word, "refused") == 0) {
      const int fd = connect_to(SOCK_STREAM, 9999);
      printf("vsock: port 9999: %s\n", fd >= 0 ? "connected" : strerrorname_np(errno));
      if (fd >= 0) close(fd);
    }
    fflush(stdout);
  }
  return 0;
}
