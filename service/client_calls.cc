#include "service/client_calls.h"

namespace adyton::service {

using virtualizationcommon::ErrorCode;

namespace {

// Behind the calls that wait, and on a thread that may wait: the end of a proxy is a message to the client.
template <typename Interface>
void let_go(CallQueue& queue, std::shared_ptr<Interface> object) {
  queue.post_always([object = std::move(object)]() mutable { object.reset(); });
}

}  // namespace

CallbackObserver::~CallbackObserver() {
  if (death_cookie_) (void)callback_->as_binder()->unlink_to_death(*death_cookie_);
  let_go(*queue_, std::move(callback_));
}

void CallbackObserver::on_session_end(std::function<void()> gone) {
  const auto linked = callback_->as_binder()->link_to_death(gone);
  if (linked) {
    death_cookie_ = *linked;
  } else if (linked.error().transport_error() == rpc::TransportError::kDeadObject) {
    gone();
  }  // An object of this process has no session that could end.
}

void CallbackObserver::payload_started(uint32_t cid) {
  queue_->post([callback = callback_, cid] { (void)callback->onPayloadStarted(static_cast<int32_t>(cid)); });
}

void CallbackObserver::payload_ready(uint32_t cid) {
  queue_->post([callback = callback_, cid] { (void)callback->onPayloadReady(static_cast<int32_t>(cid)); });
}

void CallbackObserver::payload_finished(uint32_t cid, int32_t exit_code) {
  queue_->post(
      [callback = callback_, cid, exit_code] { (void)callback->onPayloadFinished(static_cast<int32_t>(cid), exit_code); });
}

void CallbackObserver::error(uint32_t cid, GuestError error, const std::string& message) {
  queue_->post([callback = callback_, cid, error, message] {
    (void)callback->onError(static_cast<int32_t>(cid), static_cast<ErrorCode>(error), message);
  });
}

void CallbackObserver::died(uint32_t cid, const Death& death) {
  // One for each VM and callback: bounded.
  queue_->post_always([callback = callback_, cid, death] {
    (void)callback->onDied(static_cast<int32_t>(cid), static_cast<virtualizationcommon::DeathReason>(death.reason),
                           death.message);
  });
}

ListenerCalls::~ListenerCalls() { let_go(*queue_, std::move(listener_)); }

void ListenerCalls::deliver(UniqueFd stream) {
  auto shared = std::make_shared<UniqueFd>(std::move(stream));
  queue_->post(
      [listener = listener_, port = port_, shared] { (void)listener->onVsockConnection(static_cast<int32_t>(port), *shared); });
}

}  // namespace adyton::service
