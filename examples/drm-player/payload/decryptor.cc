// The payload: keys are unwrapped, used and wiped in this process, in a virtual machine; what leaves is a digest of each frame.
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "adyton/payload.h"
#include "com/example/drm/IMediaDecryptor.h"
#include "common_encryption.h"
#include "fragment.h"

namespace {

using adyton::rpc::Exception;
using adyton::rpc::Reply;
using adyton::rpc::Status;
using com::example::drm::Frame;
using com::example::drm::IMediaDecryptorStub;
using com::example::drm::Licence;
using com::example::drm::TrackEncryption;

class Decryptor : public IMediaDecryptorStub {
 public:
  explicit Decryptor(drm::SessionKey session) : session_(std::move(session)) {}

  Reply<std::vector<uint8_t>> sessionKey() override {
    auto key = session_.public_key();
    if (!key) return refuse(Exception::kIllegalState, key.error());
    return std::move(*key);
  }

  Reply<> addLicence(const Licence& licence) override {
    if (licence.keyId.size() != drm::kKeySize) return adyton::rpc::fail(Exception::kIllegalArgument, "a key's name has 16 bytes");
    auto key = session_.unwrap(licence.senderKey, licence.nonce, licence.wrappedKey, licence.keyId);
    if (!key) return std::unexpected(Status::from_service_specific(ERROR_LICENCE, key.error().message));
    const std::lock_guard guard(mutex_);
    if (keys_.size() >= static_cast<size_t>(MAX_KEYS) && !keys_.contains(licence.keyId)) {
      return adyton::rpc::fail(Exception::kIllegalState, "there is no room for another key");
    }
    keys_[licence.keyId] = std::move(*key);
    return {};
  }

  Reply<std::vector<Frame>> decrypt(const TrackEncryption& track, std::span<const uint8_t> segment,
                                    std::span<const uint8_t> tag) override {
    if (segment.size() > static_cast<size_t>(MAX_SEGMENT_BYTES))
      return adyton::rpc::fail(Exception::kIllegalArgument, "the segment is too large");
    const auto key = find(track.keyId);
    if (!key) return std::unexpected(Status::from_service_specific(ERROR_NO_KEY, "there is no licence for this key"));
    const auto authentic = drm::is_authentic(*key, segment, tag);
    if (!authentic) return refuse(Exception::kIllegalState, authentic.error());
    if (!*authentic) {
      return std::unexpected(Status::from_service_specific(
          ERROR_AUTHENTICATION,
          "the segment does not match its tag: it was changed, or the licence has another key than it was made with"));
    }
    auto frames = digests(*key, track, segment);
    if (!frames) return std::unexpected(Status::from_service_specific(ERROR_MALFORMED, frames.error().message));
    return std::move(*frames);
  }

 private:
  static std::unexpected<Status> refuse(Exception exception, const adyton::Error& error) {
    return adyton::rpc::fail(exception, error.message);
  }

  std::shared_ptr<drm::ContentKey> find(const std::vector<uint8_t>& id) {
    const std::lock_guard guard(mutex_);
    const auto found = keys_.find(id);
    return found == keys_.end() ? nullptr : found->second;
  }

  static adyton::Result<std::vector<Frame>> digests(const drm::ContentKey& key, const TrackEncryption& track,
                                                    std::span<const uint8_t> segment) {
    const bool cbcs = track.scheme == TrackEncryption::Scheme::CBCS;
    const drm::Pattern pattern{.crypt_blocks = static_cast<uint32_t>(track.cryptBlocks),
                               .skip_blocks = static_cast<uint32_t>(track.skipBlocks)};
    std::vector<Frame> result;
    for (const drm::EncryptedFrame& frame : TRY(drm::read_fragment(segment, cbcs ? 0 : 8))) {
      const drm::Bytes clear =
          cbcs ? TRY(drm::decrypt_cbcs(key, track.constantIv, pattern, frame)) : TRY(drm::decrypt_cenc(key, frame));
      result.push_back({.bytes = static_cast<int32_t>(clear.size()),
                        .nalUnits = TRY(drm::count_nal_units(clear)),
                        .sha256 = TRY(drm::sha256(clear))});
    }
    return result;
  }

  const drm::SessionKey session_;
  std::mutex mutex_;
  std::map<std::vector<uint8_t>, std::shared_ptr<drm::ContentKey>> keys_;
};

}  // namespace

int main() {
  auto session = drm::SessionKey::make();
  if (!session) {
    std::fprintf(stderr, "decryptor: %s\n", session.error().message.c_str());
    return 1;
  }
  const auto served = adyton::payload::serve_vsock(std::make_shared<Decryptor>(std::move(*session)), Decryptor::PORT, [] {
    if (const auto told = adyton::payload::notify_ready(); !told)
      std::fprintf(stderr, "decryptor: %s\n", told.error().message.c_str());
  });
  std::fprintf(stderr, "decryptor: %s\n", served.error().message.c_str());
  return 1;
}
