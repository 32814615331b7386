# The course in a container, in a folder that outlives it:
#   docker build -t gradwidgets .
#   docker run --rm -p 127.0.0.1:8888:8888 -v gradwidgets:/home/learner gradwidgets
# TORCH_INDEX may name the index of PyTorch's install page for "CPU": the image is some GB smaller.
FROM python:3.12-slim
ARG TORCH_INDEX=""
COPY . /source
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
        -c /source/constraints.txt "/source[lab]" && rm -r /source
RUN useradd --create-home learner
USER learner
WORKDIR /home/learner
EXPOSE 8888
CMD ["gradwidgets", "lab", "course", "--no-browser", "--", "--ip=0.0.0.0"]
