#include "packager.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string_view>

namespace {

using adyton::ErrorCode;
using adyton::fail;
using adyton::Result;
using com::example::drm::Licence;
using com::example::drm::TrackEncryption;

constexpr size_t kBlock = 16;
constexpr uint32_t kClear = 5;  // of each NAL unit: its length and its first byte

std::unexpected<adyton::Error> broken(const char* what) {
  return fail(ErrorCode::kInternal, std::string("OpenSSL cannot ") + what);
}

void append(Bytes& bytes, std::span<const uint8_t> more) { bytes.insert(bytes.end(), more.begin(), more.end()); }
void append_number(Bytes& bytes, uint32_t value, int size) {
  while (size-- > 0) bytes.push_back(static_cast<uint8_t>(value >> (8 * size)));
}
Bytes box(std::string_view type, std::span<const uint8_t> body) {
  Bytes bytes;
  append_number(bytes, static_cast<uint32_t>(body.size() + 8), 4);
  bytes.insert(bytes.end(), type.begin(), type.end());
  append(bytes, body);
  return bytes;
}

// One NAL unit for each frame but the first, which has three, as with its parameter sets.
std::vector<Bytes> make_nal_units(std::mt19937& random, bool first) {
  std::vector<Bytes> units;
  for (int i = 0; i < (first ? 3 : 1); ++i) {
    Bytes unit;
    const uint32_t size = std::uniform_int_distribution<uint32_t>(2, 5000)(random);
    append_number(unit, size, 4);
    for (uint32_t j = 0; j < size; ++j) unit.push_back(static_cast<uint8_t>(random()));
    units.push_back(std::move(unit));
  }
  return units;
}

Result<Bytes> derive(std::span<const uint8_t> secret, std::string_view purpose) {
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr),
                                                                            &EVP_PKEY_CTX_free);
  Bytes key(32);
  size_t size = key.size();
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 || EVP_PKEY_CTX_set_hkdf_md(context.get(), EVP_sha256()) != 1 ||
      EVP_PKEY_CTX_set1_hkdf_key(context.get(), secret.data(), static_cast<int>(secret.size())) != 1 ||
      EVP_PKEY_CTX_add1_hkdf_info(context.get(), reinterpret_cast<const uint8_t*>(purpose.data()),
                                  static_cast<int>(purpose.size())) != 1 ||
      EVP_PKEY_derive(context.get(), key.data(), &size) != 1) {
    return broken("derive a key");
  }
  return key;
}

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

Result<void> update(EVP_CIPHER_CTX* context, std::span<uint8_t> bytes) {
  int written = 0;
  if (EVP_EncryptUpdate(context, bytes.data(), &written, bytes.data(), static_cast<int>(bytes.size())) != 1)
    return broken("encrypt");
  return {};
}

// Encrypts the bodies of a frame's NAL units.
Result<Bytes> encrypt(const TrackEncryption& track, std::span<const uint8_t> key, std::span<const uint8_t> iv,
                      std::vector<Bytes> units) {
  const CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  const bool cbcs = track.scheme == TrackEncryption::Scheme::CBCS;
  Bytes counter(iv.begin(), iv.end());
  counter.resize(kBlock);
  if (!context || (!cbcs && EVP_EncryptInit_ex(context.get(), EVP_aes_128_ctr(), nullptr, key.data(), counter.data()) != 1)) {
    return broken("encrypt");
  }
  Bytes frame;
  for (Bytes& unit : units) {
    std::span<uint8_t> body = std::span(unit).subspan(kClear);
    if (!cbcs) {
      TRY(update(context.get(), body));
    } else {
      if (EVP_EncryptInit_ex(context.get(), EVP_aes_128_cbc(), nullptr, key.data(), track.constantIv.data()) != 1 ||
          EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1) {
        return broken("encrypt");
      }
      const auto period = static_cast<size_t>(track.cryptBlocks + track.skipBlocks);
      for (size_t block = 0; (block + 1) * kBlock <= body.size(); ++block) {
        if (block % period < static_cast<size_t>(track.cryptBlocks))
          TRY(update(context.get(), body.subspan(block * kBlock, kBlock)));
      }
    }
    append(frame, unit);
  }
  return frame;
}

Result<Bytes> digest(std::span<const uint8_t> bytes) {
  Bytes result(32);
  size_t size = result.size();
  if (EVP_Q_digest(nullptr, "SHA256", nullptr, bytes.data(), bytes.size(), result.data(), &size) != 1)
    return broken("make a digest");
  return result;
}

}  // namespace

Result<Bytes> random_bytes(size_t size) {
  Bytes bytes(size);
  if (RAND_bytes(bytes.data(), static_cast<int>(size)) != 1) return broken("make random bytes");
  return bytes;
}

Result<Bytes> authenticate(std::span<const uint8_t> key, std::span<const uint8_t> segment) {
  const Bytes mac_key = TRY(derive(key, "com.example.drm segment"));
  Bytes tag(32);
  unsigned size = 0;
  if (HMAC(EVP_sha256(), mac_key.data(), static_cast<int>(mac_key.size()), segment.data(), segment.size(), tag.data(), &size) ==
      nullptr) {
    return broken("authenticate");
  }
  return tag;
}

Result<Segment> package(const TrackEncryption& track, std::span<const uint8_t> key, uint32_t number) {
  constexpr uint32_t kFrames = 8;
  std::mt19937 random(number);  // known frames: the same each time
  Segment segment;
  Bytes run;
  Bytes encryption;
  Bytes data;
  append_number(run, 0x200, 4);  // version 0, frame sizes
  append_number(run, kFrames, 4);
  append_number(encryption, 2, 4);  // subsamples
  append_number(encryption, kFrames, 4);
  for (uint32_t i = 0; i < kFrames; ++i) {
    std::vector<Bytes> units = make_nal_units(random, i == 0);
    Bytes clear;
    Bytes iv;
    if (track.scheme == TrackEncryption::Scheme::CENC) iv = TRY(random_bytes(8));
    append(encryption, iv);
    append_number(encryption, static_cast<uint32_t>(units.size()), 2);
    for (const Bytes& unit : units) {
      append(clear, unit);
      append_number(encryption, kClear, 2);
      append_number(encryption, static_cast<uint32_t>(unit.size()) - kClear, 4);
    }
    segment.frame_digests.push_back(TRY(digest(clear)));
    append_number(run, static_cast<uint32_t>(clear.size()), 4);
    append(data, TRY(encrypt(track, key, iv, std::move(units))));
  }
  Bytes sequence;
  append_number(sequence, 0, 4);
  append_number(sequence, number, 4);
  Bytes header;
  append_number(header, 0x02'0000, 4);  // default-base-is-moof
  append_number(header, 1, 4);          // track
  Bytes track_fragment = box("tfhd", header);
  append(track_fragment, box("trun", run));
  append(track_fragment, box("senc", encryption));
  Bytes fragment = box("mfhd", sequence);
  append(fragment, box("traf", track_fragment));
  segment.data = box("moof", fragment);
  append(segment.data, box("mdat", data));
  segment.tag = TRY(authenticate(key, segment.data));
  return segment;
}

Result<Licence> issue_licence(std::span<const uint8_t> session_key, const Bytes& key_id, std::span<const uint8_t> key) {
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  const Key ours(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"), &EVP_PKEY_free);
  const Key theirs(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, session_key.data(), session_key.size()), &EVP_PKEY_free);
  if (!ours || !theirs) return broken("use the session's key");
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> agreement(EVP_PKEY_CTX_new(ours.get(), nullptr),
                                                                              &EVP_PKEY_CTX_free);
  Bytes shared(32);
  size_t size = shared.size();
  Licence licence{.keyId = key_id, .senderKey = Bytes(32), .nonce = TRY(random_bytes(12)), .wrappedKey = Bytes(key.size() + 16)};
  size_t key_size = licence.senderKey.size();
  if (!agreement || EVP_PKEY_derive_init(agreement.get()) != 1 || EVP_PKEY_derive_set_peer(agreement.get(), theirs.get()) != 1 ||
      EVP_PKEY_derive(agreement.get(), shared.data(), &size) != 1 ||
      EVP_PKEY_get_raw_public_key(ours.get(), licence.senderKey.data(), &key_size) != 1) {
    return broken("agree on a key with the session");
  }
  const Bytes wrapping_key = TRY(derive(shared, "com.example.drm licence"));
  const CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  int written = 0;
  if (!context || EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, wrapping_key.data(), licence.nonce.data()) != 1 ||
      EVP_EncryptUpdate(context.get(), nullptr, &written, key_id.data(), static_cast<int>(key_id.size())) != 1 ||
      EVP_EncryptUpdate(context.get(), licence.wrappedKey.data(), &written, key.data(), static_cast<int>(key.size())) != 1 ||
      EVP_EncryptFinal_ex(context.get(), licence.wrappedKey.data() + key.size(), &written) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, 16, licence.wrappedKey.data() + key.size()) != 1) {
    return broken("wrap the key");
  }
  return licence;
}
