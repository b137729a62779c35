// A payload as Android's are written: a service over the NDK's binder, the log, an attestation. Nothing in it is ours.
#include <aidl/com/example/notes/BnNotes.h>
#include <android/binder_auto_utils.h>
#include <android/log.h>
#include <stdlib.h>
#include <vm_main.h>
#include <vm_payload.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace {

using aidl::com::example::notes::BnNotes;
using aidl::com::example::notes::INotes;
using ndk::ScopedAStatus;
using Note = INotes::Note;
using Query = INotes::Query;

#define LOGI(...) __android_log_print(ANDROID_LOG_INFO, INotes::TAG, __VA_ARGS__)

class Notes : public BnNotes {
 public:
  ScopedAStatus add(const Note& note, int32_t* number) override {
    std::lock_guard<std::mutex> lock(mutex_);
    notes_.push_back(note);
    *number = static_cast<int32_t>(notes_.size()) - 1;
    LOGI("note %d: %s", *number, note.toString().c_str());
    if (listener_) listener_->onNote(note);
    return ScopedAStatus::ok();
  }

  ScopedAStatus find(const Query& query, std::optional<Note>* found) override {
    std::lock_guard<std::mutex> lock(mutex_);
    switch (query.getTag()) {
      case Query::Tag::number: {
        const int32_t number = query.get<Query::Tag::number>();
        if (number < 0) return ScopedAStatus::fromServiceSpecificErrorWithMessage(number, "numbers begin at 0");
        if (static_cast<size_t>(number) < notes_.size()) *found = notes_[static_cast<size_t>(number)];
        break;
      }
      case Query::Tag::word: {
        const std::string& word = query.get<Query::Tag::word>();
        const auto note =
            std::find_if(notes_.begin(), notes_.end(), [&](const Note& n) { return n.text.find(word) != std::string::npos; });
        if (note != notes_.end()) *found = *note;
        break;
      }
      case Query::Tag::like:
        for (const Note& like : query.get<Query::Tag::like>()) {
          const auto note = std::find(notes_.begin(), notes_.end(), like);
          if (note != notes_.end()) *found = *note;
        }
        break;
    }
    return ScopedAStatus::ok();
  }

  ScopedAStatus listen(const std::shared_ptr<IListener>& listener) override {
    std::lock_guard<std::mutex> lock(mutex_);
    listener_ = listener;
    return ScopedAStatus::ok();
  }

  ScopedAStatus attest(const std::vector<uint8_t>& challenge, std::string* answer) override {
    AVmAttestationResult* result = nullptr;
    const AVmAttestationStatus status = AVmPayload_requestAttestation(challenge.data(), challenge.size(), &result);
    *answer = AVmAttestationStatus_toString(status);
    if (status == ATTESTATION_OK) {
      std::vector<uint8_t> signature(AVmAttestationResult_sign(result, challenge.data(), challenge.size(), nullptr, 0));
      AVmAttestationResult_sign(result, challenge.data(), challenge.size(), signature.data(), signature.size());
      std::vector<uint8_t> key(AVmAttestationResult_getPrivateKey(result, nullptr, 0));
      for (size_t i = 0; i < AVmAttestationResult_getCertificateCount(result); ++i) {
        std::vector<uint8_t> certificate(AVmAttestationResult_getCertificateAt(result, i, nullptr, 0));
        AVmAttestationResult_getCertificateAt(result, i, certificate.data(), certificate.size());
      }
    }
    AVmAttestationResult_free(result);
    return ScopedAStatus::ok();
  }

  ScopedAStatus quit() override {
    __android_log_write(ANDROID_LOG_WARN, INotes::TAG, "the end");
    exit(0);
  }

 private:
  std::mutex mutex_;
  std::vector<Note> notes_;
  std::shared_ptr<IListener> listener_;
};

}  // namespace

extern "C" int AVmPayload_main() {
  LOGI("C++ of %ld", __cplusplus);
  const auto service = ndk::SharedRefBase::make<Notes>();
  AVmPayload_runVsockRpcServer(
      service->asBinder().get(), INotes::PORT, [](void*) { AVmPayload_notifyPayloadReady(); }, nullptr);
}
