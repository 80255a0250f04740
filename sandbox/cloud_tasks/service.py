"""The gRPC service google.cloud.tasks.v2.CloudTasks: validation, queues, responses."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import grpc  # type: ignore[import-untyped]
from google.cloud import tasks_v2
from google.longrunning import operations_pb2  # type: ignore[import-untyped]
from google.protobuf import any_pb2, empty_pb2  # type: ignore[import-untyped]
from google.rpc import status_pb2  # type: ignore[import-untyped]

from sandbox.behaviour import Counters
from sandbox.chance import Chance, Dice
from sandbox.cloud_tasks import rules
from sandbox.cloud_tasks.behaviour import TasksBehaviour
from sandbox.cloud_tasks.held import AttemptRecord, HeldTask
from sandbox.cloud_tasks.queue import Deliver, TaskQueue
from sandbox.cloud_tasks.rules import Refusal
from sandbox.cloud_tasks.schedule import ScaledClock

SERVICE = "google.cloud.tasks.v2.CloudTasks"
MAX_QUEUES_ON_PAGE = 9800
MAX_TASKS_ON_PAGE = 1000
Item = TypeVar("Item")
Batch = tasks_v2.BatchCreateTasksMetadata


class TasksService:
    """Implementation of the service: the queues by name, and injected faults of creations."""

    def __init__(
        self,
        *,
        deliver: Deliver,
        record: Callable[[AttemptRecord], None],
        clock: ScaledClock,
        counters: Counters,
        seed: int = 0,
    ) -> None:
        self._deliver = deliver
        self._record = record
        self._clock = clock
        self._counters = counters
        self._random = random.Random(seed)
        self._orders = itertools.count(1)
        self._entombed_queues: dict[str, Any] = {}
        self._running = False
        self.queues: dict[str, TaskQueue] = {}
        self.behave(TasksBehaviour(), Chance(seed))

    def behave(self, behaviour: TasksBehaviour, chance: Chance) -> None:
        self._behaviour = behaviour
        self._chance = chance
        self._fails_next = behaviour.create_fails_next

    def start(self) -> None:
        self._running = True
        for queue in self.queues.values():
            queue.start()

    async def stop(self) -> None:
        self._running = False
        await asyncio.gather(*(queue.stop() for queue in self.queues.values()))

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the handler of every implemented method; gRPC itself answers UNIMPLEMENTED to the others."""
        empty = empty_pb2.Empty.SerializeToString
        queue, task = tasks_v2.Queue.serialize, tasks_v2.Task.serialize
        operation = operations_pb2.Operation.SerializeToString
        methods: dict[str, tuple[Callable[[Any], Awaitable[Any]], Any, Callable[[Any], bytes]]] = {
            "CreateQueue": (self.create_queue, tasks_v2.CreateQueueRequest, queue),
            "GetQueue": (self.get_queue, tasks_v2.GetQueueRequest, queue),
            "ListQueues": (self.list_queues, tasks_v2.ListQueuesRequest, tasks_v2.ListQueuesResponse.serialize),
            "UpdateQueue": (self.update_queue, tasks_v2.UpdateQueueRequest, queue),
            "PauseQueue": (self.pause_queue, tasks_v2.PauseQueueRequest, queue),
            "ResumeQueue": (self.resume_queue, tasks_v2.ResumeQueueRequest, queue),
            "PurgeQueue": (self.purge_queue, tasks_v2.PurgeQueueRequest, queue),
            "DeleteQueue": (self.delete_queue, tasks_v2.DeleteQueueRequest, empty),
            "CreateTask": (self._create_task, tasks_v2.CreateTaskRequest, task),
            "BatchCreateTasks": (self.batch_create_tasks, tasks_v2.BatchCreateTasksRequest, operation),
            "GetTask": (self.get_task, tasks_v2.GetTaskRequest, task),
            "ListTasks": (self.list_tasks, tasks_v2.ListTasksRequest, tasks_v2.ListTasksResponse.serialize),
            "DeleteTask": (self.delete_task, tasks_v2.DeleteTaskRequest, empty),
            "RunTask": (self.run_task, tasks_v2.RunTaskRequest, task),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self._answering(name, method), request_deserializer=request.deserialize, response_serializer=serialize
            )
            for name, (method, request, serialize) in methods.items()
        }
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _answering(self, name: str, method: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        async def answer(request: Any, context: Any) -> Any:
            self._counters.add(f"calls_{name}")
            try:
                return await method(request)
            except Refusal as exc:
                self._counters.add(f"refused_{exc.code.name}")
                await context.abort(exc.code, str(exc))

        return answer

    async def create_queue(self, request: tasks_v2.CreateQueueRequest) -> tasks_v2.Queue:
        rules.check_location(request.parent)
        name = request.queue.name
        rules.check_queue_name(name)
        if not name.startswith(f"{request.parent}/queues/"):
            raise rules.invalid("The queue's name must begin with the parent.")
        if name in self.queues:
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, "Queue already exists")
        return self._add_queue(request.queue)

    def _add_queue(self, given: tasks_v2.Queue) -> tasks_v2.Queue:
        deleted_at = self._entombed_queues.get(given.name)
        tombstone = timedelta(seconds=self._behaviour.queue_tombstone_seconds)
        if deleted_at is not None and self._clock.now() < deleted_at + tombstone:
            message = "The queue cannot be created because a queue with this name existed too recently."
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, message)
        completed = rules.completed_queue(given)
        completed.state = tasks_v2.Queue.State(tasks_v2.Queue.State.RUNNING)
        queue = TaskQueue(
            completed, deliver=self._deliver, record=self._record, clock=self._clock, counters=self._counters
        )
        self.queues[given.name] = queue
        if self._running:
            queue.start()
        return queue.queue

    def _queue(self, name: str) -> TaskQueue:
        rules.check_queue_name(name)
        if name not in self.queues:
            raise Refusal(grpc.StatusCode.NOT_FOUND, "Queue does not exist.")
        return self.queues[name]

    async def get_queue(self, request: tasks_v2.GetQueueRequest) -> tasks_v2.Queue:
        return self._queue(request.name).queue

    async def list_queues(self, request: tasks_v2.ListQueuesRequest) -> tasks_v2.ListQueuesResponse:
        rules.check_location(request.parent)
        if request.filter:
            raise Refusal(grpc.StatusCode.UNIMPLEMENTED, "The stand-in does not filter.")
        names = sorted(name for name in self.queues if name.startswith(f"{request.parent}/queues/"))
        page, following = _page(names, request.page_token, request.page_size, MAX_QUEUES_ON_PAGE)
        return tasks_v2.ListQueuesResponse(queues=[self.queues[name].queue for name in page], next_page_token=following)

    async def update_queue(self, request: tasks_v2.UpdateQueueRequest) -> tasks_v2.Queue:
        """Update the queue, or create it when there is none; the state and output-only fields stay."""
        rules.check_queue_name(request.queue.name)
        queue = self.queues.get(request.queue.name)
        if queue is None:
            return self._add_queue(request.queue)
        merged = tasks_v2.Queue(request.queue)
        if request.update_mask.paths:
            merged = tasks_v2.Queue(queue.queue)
            if not request.update_mask.IsValidForDescriptor(tasks_v2.Queue.pb().DESCRIPTOR):
                raise rules.invalid("update_mask names a field that does not exist.")
            source, into = tasks_v2.Queue.pb(request.queue), tasks_v2.Queue.pb(merged)
            request.update_mask.MergeMessage(source, into, replace_message_field=True)
        merged.name, merged.state, merged.purge_time = queue.queue.name, queue.queue.state, queue.queue.purge_time
        queue.configure(rules.completed_queue(merged))
        return queue.queue

    async def pause_queue(self, request: tasks_v2.PauseQueueRequest) -> tasks_v2.Queue:
        queue = self._queue(request.name)
        queue.set_state(tasks_v2.Queue.State.PAUSED)
        return queue.queue

    async def resume_queue(self, request: tasks_v2.ResumeQueueRequest) -> tasks_v2.Queue:
        queue = self._queue(request.name)
        queue.set_state(tasks_v2.Queue.State.RUNNING)
        return queue.queue

    async def purge_queue(self, request: tasks_v2.PurgeQueueRequest) -> tasks_v2.Queue:
        queue = self._queue(request.name)
        queue.purge()
        return queue.queue

    async def delete_queue(self, request: tasks_v2.DeleteQueueRequest) -> empty_pb2.Empty:
        queue = self._queue(request.name)
        del self.queues[request.name]
        self._entombed_queues[request.name] = self._clock.now()
        await queue.stop()
        return empty_pb2.Empty()

    async def _create_task(self, request: tasks_v2.CreateTaskRequest) -> tasks_v2.Task:
        dice, _ = self._chance.dice(request.task.http_request.body)
        latency = self._behaviour.create_latency
        if waited_ms := dice.lognormal("latency", latency.median_ms, latency.sigma):
            await asyncio.sleep(waited_ms / 1000)
        fault = self._fault(dice)
        if fault is not None and not self._behaviour.created_anyway:
            raise fault
        task = self._add_task(request)
        if fault is not None:
            raise fault
        return task.view(request.response_view)

    def _add_task(self, request: tasks_v2.CreateTaskRequest) -> HeldTask:
        queue = self._queue(request.parent)
        checked = rules.completed_task(request.parent, request.task, at=self._clock.now())
        task = HeldTask(
            name=checked.name or f"{request.parent}/tasks/{self._random.randrange(10**18, 10**19)}",
            request=checked.http_request,
            schedule_at=checked.schedule_time,
            created_at=checked.create_time,
            deadline=checked.dispatch_deadline,
            retry=rules.retry_rules(checked.retry_config) if "retry_config" in checked else None,
            order=next(self._orders),
        )
        queue.add(task, tombstone=timedelta(seconds=self._behaviour.tombstone_seconds))
        self._counters.add("tasks_created")
        return task

    def _fault(self, dice: Dice) -> Refusal | None:
        """Return the scripted refusal of the next creations, or a drawn one."""
        laid_down, self._fails_next = self._fails_next > 0, max(0, self._fails_next - 1)
        if not laid_down and not dice.happens("create failed", self._behaviour.create_failed):
            return None
        self._counters.add("create_failed")
        return Refusal(grpc.StatusCode[self._behaviour.create_fault], "The sandbox failed this call on purpose.")

    async def batch_create_tasks(self, request: tasks_v2.BatchCreateTasksRequest) -> operations_pb2.Operation:
        """Create all tasks at once: the response has the created ones, the metadata the refused ones, by index."""
        self._queue(request.parent)
        if not 0 < len(request.requests) <= rules.MAX_BATCH:
            raise rules.invalid(f"A batch has 1 to {rules.MAX_BATCH} tasks.")
        if any(one.parent not in ("", request.parent) for one in request.requests):
            raise rules.invalid("All tasks of a batch must be for its queue.")
        created, failed = [], {}
        for index, one in enumerate(request.requests):
            try:
                created.append(
                    await self._create_task(tasks_v2.CreateTaskRequest(parent=request.parent, task=one.task))
                )
            except Refusal as exc:
                failed[index] = status_pb2.Status(code=exc.code.value[0], message=str(exc))
        state = Batch.State.PARTIALLY_SUCCEEDED if failed else Batch.State.SUCCEEDED
        metadata = Batch(state=state, failed_requests=failed)
        name = f"{request.parent.rpartition('/queues/')[0]}/operations/{self._random.getrandbits(64):x}"
        operation = operations_pb2.Operation(name=name, done=True, metadata=_packed(Batch.pb(metadata)))
        if created:
            response = tasks_v2.BatchCreateTasksResponse(tasks=created)
            operation.response.CopyFrom(_packed(tasks_v2.BatchCreateTasksResponse.pb(response)))
        else:
            operation.error.CopyFrom(
                status_pb2.Status(code=grpc.StatusCode.ABORTED.value[0], message="None of the requests succeeded.")
            )
        return operation

    async def get_task(self, request: tasks_v2.GetTaskRequest) -> tasks_v2.Task:
        return self._holder(request.name).get(request.name).view(request.response_view)

    async def list_tasks(self, request: tasks_v2.ListTasksRequest) -> tasks_v2.ListTasksResponse:
        held = {task.name: task for task in self._queue(request.parent).tasks}
        page, following = _page(sorted(held), request.page_token, request.page_size, MAX_TASKS_ON_PAGE)
        return tasks_v2.ListTasksResponse(
            tasks=[held[name].view(request.response_view) for name in page], next_page_token=following
        )

    async def delete_task(self, request: tasks_v2.DeleteTaskRequest) -> empty_pb2.Empty:
        self._holder(request.name).delete(request.name)
        return empty_pb2.Empty()

    async def run_task(self, request: tasks_v2.RunTaskRequest) -> tasks_v2.Task:
        return self._holder(request.name).run_now(request.name).view(request.response_view)

    def _holder(self, task_name: str) -> TaskQueue:
        return self._queue(rules.check_task_name(task_name))


def _page(names: list[str], token: str, size: int, most: int) -> tuple[list[str], str]:
    """Return a page of sorted names, and the token of the next one: the last name on this one."""
    if size < 0:
        raise rules.invalid("page_size must not be negative.")
    rest = [name for name in names if name > token]
    page = rest[: min(size or most, most)]
    return page, page[-1] if len(rest) > len(page) else ""


def _packed(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
