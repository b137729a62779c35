// Plays encrypted media whose keys are in a virtual machine: segments and wrapped keys go in, a digest of each decrypted frame
// comes out.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "adyton/adyton.h"
#include "com/example/drm/IMediaDecryptor.h"
#include "packager.h"

namespace {

using com::example::drm::Frame;
using com::example::drm::IMediaDecryptor;
using com::example::drm::Licence;
using com::example::drm::TrackEncryption;
using Scheme = TrackEncryption::Scheme;

constexpr uint32_t kSegments = 3;

std::string hex(const Bytes& bytes) {
  std::string text;
  char digits[3];
  for (const uint8_t byte : bytes) {
    std::snprintf(digits, sizeof(digits), "%02x", byte);
    text += digits;
  }
  return text;
}

// Plays a few segments and says of each whether the frames are what the packager had.
adyton::Result<void> play(IMediaDecryptor& decryptor, const char* name, const TrackEncryption& track, const Bytes& key) {
  const Bytes session = TRY(decryptor.sessionKey());
  const Licence licence = TRY(issue_licence(session, track.keyId, key));
  TRY(decryptor.addLicence(licence));
  for (uint32_t number = 1; number <= kSegments; ++number) {
    const Segment segment = TRY(package(track, key, number));
    const std::vector<Frame> frames = TRY(decryptor.decrypt(track, segment.data, segment.tag));
    size_t right = 0;
    int units = 0;
    for (size_t i = 0; i < frames.size() && i < segment.frame_digests.size(); ++i) {
      right += frames[i].sha256 == segment.frame_digests[i] ? 1 : 0;
      units += frames[i].nalUnits;
    }
    std::printf("%s, segment %u: %zu of %zu frames as they were, %d NAL units; the first: %s\n", name, number, right,
                segment.frame_digests.size(), units, frames.empty() ? "none" : hex(frames[0].sha256).c_str());
  }
  return {};
}

// What a decryptor does not accept.
adyton::Result<void> attack(IMediaDecryptor& decryptor, TrackEncryption track, const Bytes& key) {
  const auto refused = [](const char* what, const auto& reply) {
    std::printf("%s: %s\n", what, reply ? "accepted" : reply.error().message().c_str());
  };
  Segment segment = TRY(package(track, key, 1));
  segment.data[segment.data.size() - 100] ^= 1;
  refused("a changed segment", decryptor.decrypt(track, segment.data, segment.tag));

  const Bytes session = TRY(decryptor.sessionKey());
  Licence licence = TRY(issue_licence(session, track.keyId, key));
  licence.wrappedKey[0] ^= 1;
  refused("a changed licence", decryptor.addLicence(licence));
  const Bytes other_session = TRY(random_bytes(32));
  refused("another session's licence", decryptor.addLicence(TRY(issue_licence(other_session, track.keyId, key))));

  segment = TRY(package(track, key, 1));
  track.keyId = TRY(random_bytes(16));
  refused("a segment without licence", decryptor.decrypt(track, segment.data, segment.tag));
  const Bytes wrong_key = TRY(random_bytes(16));
  licence = TRY(issue_licence(session, track.keyId, wrong_key));
  TRY(decryptor.addLicence(licence));
  refused("a wrong key", decryptor.decrypt(track, segment.data, segment.tag));

  // Somebody who has the key sends nonsense.
  licence = TRY(issue_licence(session, track.keyId, key));
  TRY(decryptor.addLicence(licence));
  segment.data.resize(segment.data.size() / 2);
  refused("half a segment", decryptor.decrypt(track, segment.data, TRY(authenticate(key, segment.data))));
  return {};
}

adyton::Result<void> run(const std::string& payload) {
  const auto config = TRY(adyton::VirtualMachineConfig::Builder()
                              .setPayload(payload)
                              .setMemoryBytes(256 << 20)
                              .setIsolation(adyton::IsolationLevel::kNone)
                              .build());
  const auto manager = TRY(adyton::VirtualMachineManager::connect());
  const auto vm = TRY(manager->createTemporary(config, "drm-player-" + std::to_string(::getpid())));
  TRY(vm->run());
  TRY(vm->waitForReady());
  const auto isolation = TRY(vm->getInfo()).isolation;
  std::printf("the decryptor's isolation: %s\n", std::string(adyton::to_string(isolation)).c_str());
  const auto decryptor = IMediaDecryptor::from_binder(TRY(vm->connectToVsockServer(IMediaDecryptor::PORT)));

  const TrackEncryption video{
      .scheme = Scheme::CENC, .keyId = TRY(random_bytes(16)), .constantIv = {}, .cryptBlocks = 0, .skipBlocks = 0};
  const TrackEncryption other{.scheme = Scheme::CBCS,
                              .keyId = TRY(random_bytes(16)),
                              .constantIv = TRY(random_bytes(16)),
                              .cryptBlocks = 1,
                              .skipBlocks = 9};
  const Bytes key = TRY(random_bytes(16));
  TRY(play(*decryptor, "cenc", video, key));
  const Bytes other_key = TRY(random_bytes(16));
  TRY(play(*decryptor, "cbcs", other, other_key));
  TRY(attack(*decryptor, video, key));
  return vm->stop();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s PAYLOAD\n", argv[0]);
    return 2;
  }
  const auto done = run(argv[1]);
  if (done) return 0;
  std::fprintf(stderr, "%s: %s\n", argv[0], done.error().message.c_str());
  return 1;
}
