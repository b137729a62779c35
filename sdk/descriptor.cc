// A VM's descriptor on its way to another program: one message, whose descriptors come along with it.
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "adyton/virtual_machine.h"

namespace adyton {
namespace {

constexpr std::array<char, 4> kMagic = {'A', 'V', 'M', 'D'};
constexpr uint8_t kVersion = 1;
constexpr size_t kMostFiles = 4;

struct Message {
  std::array<char, 4> magic = kMagic;
  uint8_t version = kVersion;
  uint8_t files = 0;  // a bit for each file that comes along, in the order of Descriptor's members
  std::array<uint8_t, 2> reserved{};
};
static_assert(sizeof(Message) == 8);

std::array<UniqueFd*, kMostFiles> files_of(VirtualMachine::Descriptor& descriptor) {
  return {&descriptor.config, &descriptor.instance_id, &descriptor.instance_image, &descriptor.encrypted_storage};
}
constexpr uint8_t kNeeded = 0b11;  // the first two are always there

std::vector<UniqueFd> take_descriptors(msghdr& header) {
  std::vector<UniqueFd> taken;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, reinterpret_cast<const char*>(part) + at, sizeof(fd));
      taken.emplace_back(fd);
    }
  }
  return taken;
}

}  // namespace

Result<void> VirtualMachine::Descriptor::sendTo(int socket) const {
  Message message;
  std::vector<int> fds;
  unsigned bit = 0;
  for (const UniqueFd* file : {&config, &instance_id, &instance_image, &encrypted_storage}) {
    if (file->valid()) {
      message.files |= static_cast<uint8_t>(1u << bit);
      fds.push_back(file->get());
    }
    ++bit;
  }
  if ((message.files & kNeeded) != kNeeded)
    return fail(ErrorCode::kInvalidArgument,
                "a descriptor without a configuration and an identity cannot be sent: it has been used up");
  iovec part{.iov_base = &message, .iov_len = sizeof(message)};
  alignas(cmsghdr) char ancillary[CMSG_SPACE(kMostFiles * sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = ancillary;
  header.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
  ssize_t sent = 0;
  do { sent = ::sendmsg(socket, &header, MSG_NOSIGNAL); } while (sent < 0 && errno == EINTR);
  // A socket takes so few bytes whole or not at all.
  if (sent != static_cast<ssize_t>(sizeof(message))) return fail_errno("cannot send the virtual machine's descriptor");
  return {};
}

Result<VirtualMachine::Descriptor> VirtualMachine::Descriptor::receiveFrom(int socket) {
  Message message;
  iovec part{.iov_base = &message, .iov_len = sizeof(message)};
  // One more than there may be, so that too many are not taken for a lack of room.
  alignas(cmsghdr) char ancillary[CMSG_SPACE((kMostFiles + 1) * sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = ancillary;
  header.msg_controllen = sizeof(ancillary);
  ssize_t got = 0;
  do { got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_WAITALL); } while (got < 0 && errno == EINTR);
  if (got < 0) return fail_errno("cannot receive a virtual machine's descriptor");
  std::vector<UniqueFd> taken = take_descriptors(header);
  if (got == 0)
    return fail(ErrorCode::kUnavailable, "no virtual machine's descriptor came: the other program has closed the socket");
  if ((header.msg_flags & MSG_CTRUNC) != 0 && taken.size() <= kMostFiles)
    return fail(ErrorCode::kExhausted,
                "there is no room for the descriptors of a virtual machine: this program has too many open files");
  const bool whole = got == static_cast<ssize_t>(sizeof(message)) && message.magic == kMagic && message.version == kVersion &&
                     message.reserved == decltype(message.reserved){} && (message.files & kNeeded) == kNeeded &&
                     message.files < 1u << kMostFiles && taken.size() == static_cast<size_t>(__builtin_popcount(message.files));
  if (!whole) return fail(ErrorCode::kCorrupt, "what came is no virtual machine's descriptor");
  Descriptor descriptor;
  auto next = taken.begin();
  unsigned bit = 0;
  for (UniqueFd* file : files_of(descriptor)) {
    if ((message.files >> bit++ & 1) != 0) *file = std::move(*next++);
  }
  return descriptor;
}

}  // namespace adyton
