"""Writes a model of LiteRT's that can be trained on a device, without TensorFlow: softmax regression, its gradient written out
in LiteRT's own operators, its weights in variables that all signatures share.

    litert_model.py FEATURES CLASSES MODEL.tflite

Signatures: train(x, y, rate) -> loss (one step by all of x; y is one row of a single 1 each), infer(x) -> logits,
save() -> weight, bias, restore(weight, bias) -> the same. A converter makes such signatures of tf.functions."""

import sys

import flatbuffers
import numpy
from ai_edge_litert import schema_py_generated as schema

ANY = -1  # a number of rows that the caller decides


class Graph:
    """One signature. Every method adds an operator and returns the index of its result's tensor."""

    def __init__(self, model, name, variables):
        self.model, self.graph = model, schema.SubGraphT(name=name.encode(), tensors=[], inputs=[], outputs=[], operators=[])
        self.signature = schema.SignatureDefT(signatureKey=name.encode(), inputs=[], outputs=[], subgraphIndex=len(model.subgraphs))
        model.subgraphs.append(self.graph)
        model.signatureDefs.append(self.signature)
        self.shapes = variables
        self.handles = {name: self.add("VAR_HANDLE", [], [1], schema.TensorType.RESOURCE, sharedName=name.encode(), container=b"")
                        for name in variables}

    def tensor(self, shape, kind=schema.TensorType.FLOAT32, name="", buffer=0):
        signature = list(shape) if ANY in shape else None
        self.graph.tensors.append(schema.TensorT(shape=[abs(size) for size in shape], shapeSignature=signature, type=kind, hasRank=True,
                                                 buffer=buffer, name=(name or f"t{len(self.graph.tensors)}").encode()))
        return len(self.graph.tensors) - 1

    def constant(self, *values):
        self.model.buffers.append(schema.BufferT(data=numpy.frombuffer(numpy.array(values, "<i4").tobytes(), numpy.uint8)))
        return self.tensor([len(values)], schema.TensorType.INT32, buffer=len(self.model.buffers) - 1)

    def add(self, code, inputs, shape, kind=schema.TensorType.FLOAT32, **options):
        number = getattr(schema.BuiltinOperator, code)
        codes = [entry.builtinCode for entry in self.model.operatorCodes]
        if number not in codes:
            self.model.operatorCodes.append(schema.OperatorCodeT(builtinCode=number, deprecatedBuiltinCode=min(number, 127), version=1))
            codes.append(number)
        kind_of = {"SUM": "Reducer", "BATCH_MATMUL": "BatchMatMul"}.get(code, code.title().replace("_", "")) + "Options"
        outputs = [] if shape is None else [self.tensor(shape, kind)]
        self.graph.operators.append(schema.OperatorT(
            opcodeIndex=codes.index(number), inputs=inputs, outputs=outputs,
            builtinOptionsType=getattr(schema.BuiltinOptions, kind_of), builtinOptions=getattr(schema, kind_of + "T")(**options)))
        return outputs[0] if outputs else None

    def given(self, name, shape):
        index = self.tensor(shape, name=name)
        self.graph.inputs.append(index)
        self.signature.inputs.append(schema.TensorMapT(name=name.encode(), tensorIndex=index))
        return index

    def result(self, name, index):
        self.graph.outputs.append(index)
        self.signature.outputs.append(schema.TensorMapT(name=name.encode(), tensorIndex=index))

    def read(self, name):
        return self.add("READ_VARIABLE", [self.handles[name]], self.shapes[name])

    def assign(self, name, index):
        self.add("ASSIGN_VARIABLE", [self.handles[name], index], None)

    def sum(self, index, axes, shape):
        return self.add("SUM", [index, self.constant(*axes)], shape, keepDims=False)


def train(graph, features, classes):
    x, y, rate = graph.given("x", [ANY, features]), graph.given("y", [ANY, classes]), graph.given("rate", [])
    weight, bias = graph.read("weight"), graph.read("bias")
    rows, of_rows = graph.sum(y, [0, 1], []), [ANY, classes]
    logs = graph.add("LOG_SOFTMAX", [graph.add("FULLY_CONNECTED", [x, weight, bias], of_rows)], of_rows)
    loss = graph.add("NEG", [graph.add("DIV", [graph.sum(graph.add("MUL", [y, logs], of_rows), [0, 1], []), rows], [])], [])
    error = graph.add("SUB", [graph.add("EXP", [logs], of_rows), y], of_rows)
    step = graph.add("MUL", [graph.add("DIV", [error, rows], of_rows), rate], of_rows)
    graph.assign("weight", graph.add("SUB", [weight, graph.add("BATCH_MATMUL", [step, x], [classes, features], adjX=True)],
                                     [classes, features]))
    graph.assign("bias", graph.add("SUB", [bias, graph.sum(step, [0], [classes])], [classes]))
    graph.result("loss", loss)


def model_of(features, classes):
    variables = {"weight": [classes, features], "bias": [classes]}
    model = schema.ModelT(version=3, operatorCodes=[], subgraphs=[], buffers=[schema.BufferT()], signatureDefs=[],
                          description=b"softmax regression")
    train(Graph(model, "train", variables), features, classes)
    infer = Graph(model, "infer", variables)
    infer.result("logits", infer.add("FULLY_CONNECTED", [infer.given("x", [ANY, features]), infer.read("weight"), infer.read("bias")],
                                     [ANY, classes]))
    save, restore = Graph(model, "save", variables), Graph(model, "restore", variables)
    for name, shape in variables.items():
        save.result(name, save.read(name))
        restore.assign(name, restore.given(name, shape))
    for name in variables:
        restore.result(name, restore.read(name))
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


if __name__ == "__main__":
    with open(sys.argv[3], "wb") as f:
        f.write(model_of(int(sys.argv[1]), int(sys.argv[2])))
